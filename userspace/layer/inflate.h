/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed streams as layers have them: gzip of any number of members, zstd of any number of
 * frames, skippable ones too. Every header and check sum is looked at; bytes that belong to none
 * are an error. A zstd window is at most 128 MiB (INFLATE_WINDOW_MAX_LOG): it is what bounds the
 * memory.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/tar_compression.h"

#define INFLATE_WINDOW_MAX_LOG 27
#define INFLATE_MAGIC_BYTES 10

struct inflate;

/* The compression of a layer that starts with these bytes. -EOPNOTSUPP names a compression that is
 * not supported. */
int inflate_detect(const void *bytes, size_t length, enum tar_compression *ret_compression,
		   struct error *e);

struct inflate *inflate_new(enum tar_compression compression); /* gzip or zstd; NULL: no memory */
void inflate_free(struct inflate *z);
DEFINE_CLEANUP(struct inflate *, inflate_free)

struct inflate_buffers {
	const char *in;
	char *out;
	size_t in_left, out_left;
};

/* Moves on until the input is used up or the output is full. -EBADMSG: it is corrupt;
 * -EOPNOTSUPP: the window is too large; -ENOMEM. */
int inflate_step(struct inflate *z, struct inflate_buffers *b, struct error *e);
/* After the last byte: -EBADMSG when the stream was cut off. */
int inflate_end(const struct inflate *z, struct error *e);
