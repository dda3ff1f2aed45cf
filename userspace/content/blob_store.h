/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content by digest: blobs/sha256/<hex> of the store, written through ingest/. A blob that is
 * visible there is whole, verified, and synced to disk. The manager decides which blobs are kept.
 * Every function may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"

struct blob_store;

/* Makes the directories where they are missing. `root` is borrowed. */
int blob_store_open(int root, struct blob_store **ret_store, struct error *e);
void blob_store_close(struct blob_store *s);
DEFINE_CLEANUP(struct blob_store *, blob_store_close)

/* -ENOENT names the digest. */
int blob_store_open_blob(struct blob_store *s, const struct digest *digest, int *ret_fd,
			 int64_t *ret_size_bytes, struct error *e);
bool blob_store_has(struct blob_store *s, const struct digest *digest);
/* Removing a missing blob succeeds. */
int blob_store_remove(struct blob_store *s, const struct digest *digest, struct error *e);
/* Calls visit for each blob; a negative return ends it and is returned. */
int blob_store_list(struct blob_store *s,
		    int (*visit)(const struct digest *digest, int64_t size_bytes, void *user),
		    void *user, struct error *e);
/* Removes partial blobs that have not grown for so long; 0: all that are not being written. Called
 * at the start and from time to time. */
int blob_store_sweep_ingest(struct blob_store *s, int64_t older_than_ns, struct error *e);
