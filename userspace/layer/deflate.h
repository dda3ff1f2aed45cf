/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressing a stream: gzip by ISA-L (level 1; no name, no time), zstd (level 3), or not at all.
 * With the same versions of the libraries and kind of CPU the same input gives the same bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/tar_compression.h"

struct deflate;

struct deflate *deflate_new(enum tar_compression compression); /* NULL: no memory */
void deflate_free(struct deflate *d);
DEFINE_CLEANUP(struct deflate *, deflate_free)

/* Compresses all of the bytes and passes the output to `write` in pieces. An error of `write` ends
 * it and is returned. The last call sets `last`, and may have no bytes. */
int deflate_step(struct deflate *d, const void *bytes, size_t length, bool last,
		 int (*write)(const void *bytes, size_t length, void *user, struct error *e),
		 void *user, struct error *e);
