/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI image layout: a directory with oci-layout, index.json and blobs/sha256/<hex>. A layout is
 * not trusted: nothing outside of it is opened or written, only regular files are opened, and
 * blobs are verified.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "content/blob_store.h"

/* -ENOENT; -EBADMSG: not a layout. */
int oci_layout_open(const char *path, int *ret_fd, struct error *e);
/* Makes a layout, or opens the one that exists. -EEXIST: the path is something else; -ELOOP: its
 * directory of blobs is a symbolic link. */
int oci_layout_make(const char *path, int *ret_fd, struct error *e);

/* index.json; the caller's to free. -EFBIG: more than the maximum. */
int oci_layout_read_index(int layout, size_t maximum, void **ret_bytes, size_t *ret_length,
			  struct error *e);
/* Replaces index.json atomically. */
int oci_layout_write_index(int layout, const void *bytes, size_t length, struct error *e);

/* Of a blob of the layout. */
int oci_layout_blob_size(int layout, const struct digest *digest, int64_t *ret_size_bytes,
			 struct error *e);

struct oci_layout_copy {
	struct digest digest;
	int64_t size_bytes;
	const atomic_bool *cancelled;
	void (*progress)(int64_t done_bytes, int64_t total_bytes, void *user);
	void *user;
};

/* Copy a blob into the store, and out of it, and verify it; return 0 at once when it is there.
 * -EBADMSG: the content does not have that digest. */
int oci_layout_take_blob(int layout, struct blob_store *store, const struct oci_layout_copy *copy,
			 struct error *e);
int oci_layout_give_blob(int layout, struct blob_store *store, const struct oci_layout_copy *copy,
			 struct error *e);
