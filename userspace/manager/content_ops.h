/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content that comes from and goes to the outside world: records by blob, images, layers that are
 * made when somebody needs them. As manager.h: any thread, may block, leaves nothing behind.
 * -ENODATA: blobs are neither here nor to be fetched, and all of them are named.
 */
#pragma once

#include "manager/manager.h"

/* Long work says how far it is: `done` of `total` bytes (-1: not known). Called by any thread of
 * it, one at a time, not too often, and at the end of each piece. */
struct manager_progress {
	const char *action; /* "copy", "fetch", "unpack", "pack", "push" */
	const char *what; /* a digest, or a record */
	int64_t done_bytes, total_bytes;
};

struct manager_watch {
	const atomic_bool *cancelled; /* may be NULL */
	int (*progress)(const struct manager_progress *progress, void *user); /* may be NULL */
	void *user;
};

/* A descriptor, and what the record is to be called if there is none of that chain yet. */
struct manager_blob {
	const char *digest, *media_type;
	int64_t size_bytes;
	const char *diff_id; /* annotation containerd.io/uncompressed */
	const char *registry, *repository; /* where to fetch it, or "" */
	const char *parent; /* "" or NULL: none */
	const char *description, *type; /* type "" or NULL: regular */
	const char *image_ref; /* "" or NULL: none */
	const char *config; /* the image's config, when it ends here, or "" */
	int64_t created_ns; /* 0: now */
	bool no_use; /* releasing this ref does not count as a use */
};

/* The record of that chain: one that is there, one that shares the layer of one that is there, or
 * one without files. *ret_new: it was made. */
int manager_get_by_blob(struct manager *m, const struct manager_blob *blob,
			const struct manager_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
			bool *ret_new, struct error *e);
/* Gives files to all of the record's chain that lacks them; parents first, and at the same time
 * what is not here is fetched. Once for all who ask. */
int manager_extract(struct manager *m, const char *id, const struct manager_watch *watch,
		    struct error *e);

struct manager_import_options {
	const char *source; /* see image/image_reference.h; paths absolute */
	bool lazy; /* no files now; of a registry no blobs either */
	struct manager_watch watch;
};

struct manager_image_summary {
	char id[RECORD_ID_LENGTH + 1];
	char manifest[72]; /* its digest; "" of a plain tar */
	uint64_t layers, new_layers;
	int64_t bytes; /* that were copied, fetched or packed */
};

/* The holder holds the top record of the image. */
int manager_import(struct manager *m, const struct manager_import_options *options,
		   const struct manager_holder *holder, struct manager_image_summary *ret_summary,
		   struct error *e);

enum manager_compression {
	MANAGER_USUAL_COMPRESSION, /* gzip for images, none for a plain tar */
	MANAGER_GZIP,
	MANAGER_ZSTD,
	MANAGER_UNCOMPRESSED,
};

struct manager_export_options {
	const char *id, *destination; /* paths absolute */
	enum manager_compression compression; /* of layers that have no blob yet */
	struct manager_watch watch;
};

int manager_export(struct manager *m, const struct manager_export_options *options,
		   struct manager_image_summary *ret_summary, struct error *e);
/* The record's own layer as an OCI layer, piece by piece; returns what `write` returned when that
 * is negative. */
int manager_diff(struct manager *m, const char *id, enum manager_compression compression,
		 const struct manager_watch *watch,
		 int (*write)(const void *bytes, size_t length, void *user), void *user,
		 struct error *e);

/* Blobs that no record needs go; with the daemon's timer only those that have been of no use for
 * some time. */
int manager_collect(struct manager *m, struct error *e);
