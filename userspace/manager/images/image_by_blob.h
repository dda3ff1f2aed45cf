/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that are found by their blob, or made of it. A new record has no files: its rows, which
 * one transaction writes, are all there is of it. Calls for the same chain wait for one another.
 */
#pragma once

#include "manager/state/lease_table.h"

/* A descriptor, and how a new record is described if there is none of that chain yet. */
struct image_blob {
	const char *digest, *media_type;
	int64_t size_bytes;
	const char *diff_id; /* annotation containerd.io/uncompressed */
	const char *registry, *repository; /* where to fetch it, or "" */
	const char *parent; /* "" or NULL: none */
	const char *description, *type; /* type "" or NULL: regular */
	const char *image_ref; /* "" or NULL: none */
	const char *config; /* the image's config, when it ends here; "" or NULL: none */
	bool bare; /* only a record without a config will do, since an export would carry it */
	int64_t created_ns; /* 0: now */
	bool no_use; /* releasing this ref does not count as a use */
};

/* The record of that chain of blobs and of that config (without one: of any, unless `bare`): one
 * that is there, or a new one, which shares the layer of one that is there, or has no files yet.
 * *ret_new: it was made. */
int image_by_blob(struct manager *m, const struct image_blob *blob,
		  const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		  bool *ret_new, struct error *e);
