/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI image layout: a directory with oci-layout, index.json and blobs/sha256/<hex>. Whoever made
 * it may have meant no good: nothing is opened outside of it, nor what is no regular file, and what
 * is read is verified.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "content/blob_store.h"

/* -ENOENT, -EBADMSG: it is none. */
int oci_layout_open(const char *path, int *ret_fd, struct error *e);
/* Makes it where there is none; an existing one is added to. -EEXIST: there is something else. */
int oci_layout_make(const char *path, int *ret_fd, struct error *e);

/* index.json; the caller's to free. -EFBIG: more than the maximum. */
int oci_layout_read_index(int layout, size_t maximum, void **ret_bytes, size_t *ret_length,
			  struct error *e);
/* In the place of the one that was there, whole or not at all. */
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

/* Both ways verified; 0 at once when it is there. -EBADMSG: what is in the layout is not what its
 * name says. */
int oci_layout_take_blob(int layout, struct blob_store *store, const struct oci_layout_copy *copy,
			 struct error *e);
int oci_layout_give_blob(int layout, struct blob_store *store, const struct oci_layout_copy *copy,
			 struct error *e);
