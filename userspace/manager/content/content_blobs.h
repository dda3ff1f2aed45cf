/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blobs are in the store, and which of them must stay. The rows of records keep the blobs
 * they name, also those of quarantined records. A blob that no row names yet is kept by a pin: its
 * user pins it before bringing it, and unpins it once the row is written.
 */
#pragma once

#include "manager/state/manager_state.h"

/* A blob that is not collected, whether it is in the store already or not. Ends with its scope. */
struct blob_pin {
	struct manager *m; /* NULL: none */
	struct digest digest;
};

/* `fetch_helper`: the program varve-fetch; `credentials_file`: for registries, or NULL. Both are
 * copied. What it opened before it failed, content_blobs_close() closes. */
int content_blobs_open(struct manager *m, const char *fetch_helper, const char *credentials_file,
		       struct error *e);
void content_blobs_close(struct manager *m);

/* With the lock. */
bool content_blobs_has(const struct manager *m, const struct digest *digest);
/* Like content_blobs_has(), without the lock. */
bool content_blobs_is_here(struct manager *m, const struct digest *digest);

/* What the record's blob takes on disk: 0 when it is not in the store, or the record has none. With
 * the lock. */
int64_t content_blobs_size(const struct manager *m, const struct record *r);

/* Adds the bytes and the number of all blobs in the store. With the lock. */
void content_blobs_total(const struct manager *m, int64_t *bytes, int64_t *count);

/* Waits while the blob is being removed. -ENOMEM. Without the lock. */
int content_blobs_pin(struct manager *m, const struct digest *digest, struct blob_pin *ret_pin,
		      struct error *e);
void content_blobs_unpin(struct blob_pin *pin);
DEFINE_CLEANUP_VALUE(struct blob_pin, content_blobs_unpin)

/* A blob that is pinned is in the store now. Without the lock. */
void content_blobs_arrived(struct manager *m, const struct digest *digest, int64_t size_bytes);

/* Calls found() for each record whose blob was removed from the store by other means; a negative
 * return ends the check and is returned. `repair`: the blob counts as not in the store from now on,
 * if the record has files or a source. -ENOMEM. Without the lock. */
int content_blobs_check(struct manager *m, bool repair,
			int (*found)(const char *id, const char *digest, bool repaired, void *user),
			void *user);

/* Removes the blobs that nothing has needed for at least this long. Without the lock. */
int content_blobs_collect(struct manager *m, int64_t unneeded_ns, struct error *e);

/* Like content_blobs_collect(), but leaves an import that failed the time to be tried again. */
int content_blobs_collect_unneeded(struct manager *m, struct error *e);
