/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's bytes on their way out: the caller fills, one thread hashes the plain tar, another
 * compresses, hashes and writes. The ring between them bounds the memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "layer/tar_compression.h"

struct tar_sink;

struct tar_sink_result {
	struct digest blob, diff_id;
	uint64_t blob_bytes, diff_bytes;
};

/* output_fd is borrowed. */
int tar_sink_open(int output_fd, enum tar_compression compression, struct tar_sink **ret_sink,
		  struct error *e);
/* Stops the threads at once. */
void tar_sink_free(struct tar_sink *s);
DEFINE_CLEANUP(struct tar_sink *, tar_sink_free)

/* Space for the next bytes, at least one; *ret_size is how many. The caller fills it and passes the
 * number of bytes to tar_sink_filled(). NULL: the error of the threads is in e. */
void *tar_sink_space(struct tar_sink *s, size_t *ret_size, struct error *e);
void tar_sink_filled(struct tar_sink *s, size_t length);
int tar_sink_write(struct tar_sink *s, const void *bytes, size_t length, struct error *e);
/* Writes this number of NUL bytes. */
int tar_sink_zeros(struct tar_sink *s, uint64_t length, struct error *e);
/* After the last byte: waits until all is written. */
int tar_sink_end(struct tar_sink *s, struct tar_sink_result *ret_result, struct error *e);
