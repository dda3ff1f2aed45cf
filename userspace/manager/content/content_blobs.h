/* SPDX-License-Identifier: Apache-2.0 */
/* Which blobs are here, and which must stay though no row needs them yet. */
#pragma once

#include "manager/state/manager_state.h"

/* `fetch_helper`: the program varve-fetch; `credentials_file`: for registries, or NULL. */
int content_blobs_open(struct manager *m, const char *fetch_helper, const char *credentials_file,
		       struct error *e);
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

/* Blobs that no record needs go; with the daemon's timer only those that have been of no use for
 * some time. */
int content_blobs_collect_unneeded(struct manager *m, struct error *e);
