/* SPDX-License-Identifier: Apache-2.0 */
/* What the content_*.c files share. */
#pragma once

#include "content/blob_fetch.h"
#include "content/blob_store.h"
#include "content/oci_layout.h"
#include "image/image_config.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "manager/content_ops.h"
#include "manager/manager_state.h"

static inline bool content_is_cancelled(const struct manager_watch *watch)
{
	return watch->cancelled && atomic_load(watch->cancelled);
}

/* content_blobs.c: which blobs are here, and which must stay though no row needs them yet. */
int content_blobs_open(struct manager *m, const struct manager_options *options, struct error *e);
void content_blobs_close(struct manager *m);
/* With the lock. */
bool content_blobs_has(const struct manager *m, const struct digest *digest);
/* What the record's blob takes on disk: 0 when it is not here, or there is none. With the lock. */
int64_t content_blobs_size(const struct manager *m, const struct record *r);
/* Until it is unpinned the blob is not collected, whether it is here already or not. -ENOMEM. */
int content_blobs_pin(struct manager *m, const struct digest *digest);
void content_blobs_unpin(struct manager *m, const struct digest *digest);
/* Of a blob that is pinned. */
void content_blobs_arrived(struct manager *m, const struct digest *digest, int64_t size_bytes);
/* Calls found() for each record whose blob somebody has taken away; `repair`: it is no longer
 * counted on, which helps a record that has files, or a source. */
int content_blobs_check(struct manager *m, bool repair,
			int (*found)(const char *id, const char *digest, bool repaired, void *user),
			void *user);
/* Those that no record has needed for so long. */
int content_blobs_collect(struct manager *m, int64_t unneeded_ns, struct error *e);

/* content_progress.c: one at a time, and not too often. */
struct content_progress;

struct content_progress *content_progress_new(const struct manager_watch *watch);
void content_progress_free(struct content_progress *p);
DEFINE_CLEANUP(struct content_progress *, content_progress_free)
/* -ECANCELED, also when nobody listens any more. */
int content_progress_say(struct content_progress *p, const char *action, const char *what,
			 int64_t done_bytes, int64_t total_bytes);
/* The same without a word. */
int content_progress_check(struct content_progress *p);
/* As if it were cancelled: other threads of the same work come to their end. */
void content_progress_end(struct content_progress *p);
/* Set when the caller has cancelled, or nobody listens: the functions above look. */
const atomic_bool *content_progress_stop(struct content_progress *p);

/* content_extract.c */
/* The record may not go meanwhile: its `extractions` are counted. */
int content_extract_chain(struct manager *m, struct record *r, const struct manager_watch *watch,
			  struct error *e);
/* A record without parents takes the files of the directory, a path within the store, which has
 * been filled from its blob. Nothing happens to one that has files. */
int content_extract_adopt(struct manager *m, const char *id, const char *directory,
			  struct error *e);
/* With the lock, which it lets go of where there is something to do: all of the record's chain has
 * files when this returns 0, and *r may be another record object or gone: -ENOENT. */
int content_extract_if_lazy(struct manager *m, struct record **r, const atomic_bool *cancelled,
			    struct error *e);
/* With the lock: -ENODATA names every blob of the chain that is not here and has no source; also
 * those that have one when `unreachable` says why they cannot be fetched. */
int content_extract_check(struct manager *m, const struct record *r, const char *unreachable,
			  struct error *e);

/* content_lazy.c */
/* With the lock: it has files, and they could be made again. */
bool content_lazy_could_be_made(struct manager *m, const struct record *r);
/* With the lock: the same, and nothing needs them now. */
bool content_lazy_may_fall_back(struct manager *m, const struct record *r);
/* The reserved records lose their files and stay; all or none. */
int content_lazy_fall_back(struct manager *m, struct record *const *records, size_t count,
			   struct error *e);

/* content_source.c: where an image is read from, layout or registry. */
struct content_source {
	struct manager *m;
	const struct image_reference *reference;
	struct content_progress *progress;
	int layout_fd; /* of a layout */
	char *scratch; /* in the store, where an archive was unpacked; NULL: none */
	struct fetch_source registry; /* of a registry */
	int64_t brought_bytes;
};

int content_source_open(struct manager *m, const struct image_reference *reference,
			struct content_progress *progress, struct content_source *ret_source,
			struct error *e);
void content_source_close(struct content_source *s);
/* The manifest of the image that the reference names; through indexes. */
int content_source_manifest(struct content_source *s, struct image_descriptors *ret_manifest,
			    struct digest *ret_digest, struct error *e);
/* Into the store, where it must be pinned; 0 at once when it is there. */
int content_source_bring(struct content_source *s, const struct image_descriptor *blob,
			 struct error *e);
struct fetch_control content_source_control(struct manager *m, const atomic_bool *cancelled);
/* A document that is in the store; the caller's to free. */
int content_source_read(struct manager *m, const struct digest *digest, void **ret_bytes,
			size_t *ret_length, struct error *e);

/* content_pack.c */
/* The layer's tar into the store; pinned on success. */
int content_pack_layer(struct manager *m, const char *layer, enum manager_compression compression,
		       struct content_progress *progress, struct record_content *ret_content,
		       struct error *e);
