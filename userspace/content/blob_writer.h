/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a blob into the store. There is one writer at a time for a digest: a second one waits for
 * the first, and gets -EEXIST when the first has finished. A writer belongs to one thread.
 */
#pragma once

#include <stdatomic.h>

#include "content/blob_store.h"

struct blob_writer;

struct blob_expectation {
	const struct digest *digest; /* NULL: unknown; such a blob is never resumed */
	int64_t size_bytes; /* -1: not known */
	const atomic_bool *cancelled; /* ends the wait for another writer; may be NULL */
};

/* *ret_offset: how many bytes an interrupted writer left; the caller goes on from there. -EEXIST:
 * the blob is in the store; -ECANCELED. */
int blob_writer_begin(struct blob_store *s, const struct blob_expectation *expected,
		      struct blob_writer **ret_writer, int64_t *ret_offset, struct error *e);
/* -EFBIG: more than the expected size; -ENOSPC and other errors of the file system. Bytes written
 * so far stay. */
int blob_writer_add(struct blob_writer *w, const void *bytes, size_t length, struct error *e);
/* Drops all bytes written so far. */
int blob_writer_reset(struct blob_writer *w, struct error *e);
/* Verifies and syncs the blob and makes it visible; takes the writer. -EBADMSG names both digests,
 * and the bytes are dropped; -ENODATA: too short, and the bytes stay for a resume. */
int blob_writer_commit(struct blob_writer *w, struct digest *ret_digest, int64_t *ret_size_bytes,
		       struct error *e);
/* Keeps the bytes for a resume when the digest is known; takes the writer. */
void blob_writer_abandon(struct blob_writer *w);
DEFINE_CLEANUP(struct blob_writer *, blob_writer_abandon)
