/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's bytes on their way in: threads read and hash the source, inflate it, and hash what
 * comes out, while the caller takes the plain tar from here. Rings between them bound the memory
 * to some MiB, and the window of zstd. What was read before an error comes before the error.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"

struct tar_stream;

struct tar_stream_options {
	int source_fd; /* borrowed */
	uint64_t max_bytes; /* of the plain stream; 0: no limit */
	const atomic_bool *cancelled; /* may be NULL */
	void (*progress)(uint64_t source_bytes, void *user); /* may be NULL */
	void *user;
};

struct tar_stream_result {
	struct digest blob, diff_id;
	uint64_t blob_bytes, diff_bytes;
};

int tar_stream_open(const struct tar_stream_options *options, struct tar_stream **ret_stream,
		    struct error *e);
/* Stops the threads at once. */
void tar_stream_free(struct tar_stream *s);
DEFINE_CLEANUP(struct tar_stream *, tar_stream_free)

/* The next bytes, which stay until the next call: their number, 0 at the end, or the error. */
long tar_stream_read(struct tar_stream *s, const void **ret_bytes, struct error *e);
/* After the end: waits for the digests. */
int tar_stream_end(struct tar_stream *s, struct tar_stream_result *ret_result, struct error *e);
