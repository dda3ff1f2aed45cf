/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob being written into the store; one writer at a time for a digest: a second one waits for
 * the first, and gets -EEXIST when that has brought the blob. A writer belongs to one thread.
 */
#pragma once

#include <stdatomic.h>

#include "content/blob_store.h"

struct blob_writer;

struct blob_expectation {
	const struct digest *digest; /* NULL: not known yet; then there is nothing to resume */
	int64_t size_bytes; /* -1: not known */
	const atomic_bool *cancelled; /* ends the wait for another writer; may be NULL */
};

/* *ret_offset: how many bytes an earlier, broken off writer has left; go on from there. -EEXIST:
 * the blob is there; -ECANCELED. */
int blob_writer_begin(struct blob_store *s, const struct blob_expectation *expected,
		      struct blob_writer **ret_writer, int64_t *ret_offset, struct error *e);
/* -EFBIG: more than was expected; -ENOSPC and others of the file system. What fitted stays. */
int blob_writer_add(struct blob_writer *w, const void *bytes, size_t length, struct error *e);
/* Starts over from nothing. */
int blob_writer_reset(struct blob_writer *w, struct error *e);
/* Verifies, syncs, makes visible; takes the writer. -EBADMSG names both digests, and the bytes are
 * gone; -ENODATA: shorter than expected, and the bytes stay for a resume. */
int blob_writer_commit(struct blob_writer *w, struct digest *ret_digest, int64_t *ret_size_bytes,
		       struct error *e);
/* Leaves the bytes for a resume where the digest was known; takes the writer. */
void blob_writer_abandon(struct blob_writer *w);
DEFINE_CLEANUP(struct blob_writer *, blob_writer_abandon)
