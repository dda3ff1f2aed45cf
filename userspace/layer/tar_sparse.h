/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the content of a sparse file lies: the spans that an archive has bytes for, in order. Reads
 * the maps of GNU tar's formats: in the header (old), in pax records (0.0, 0.1) and in front of the
 * content (1.0).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "layer/tar_pax.h"

struct tar_span {
	int64_t offset, length;
};

struct tar_sparse {
	struct tar_span *spans;
	size_t count, capacity;
};

/* One block of the old format, `count` fields of offset and length from `fields` on. */
int tar_sparse_add_fields(struct tar_sparse *s, const char *fields, size_t count, struct error *e);
/* The map that pax records hold. */
int tar_sparse_add_pax(struct tar_sparse *s, const struct tar_pax *pax, struct error *e);
/* A map of format 1.0 is lines of decimal numbers: how many spans, then offset and length of each.
 * How many lines it has, by its first one; and all of it. */
int tar_sparse_text_lines(const char *text, size_t length, int64_t *ret_lines, struct error *e);
int tar_sparse_add_text(struct tar_sparse *s, const char *text, size_t length, struct error *e);
/* -EBADMSG unless the spans are in order, within the file, and as long as its content. */
int tar_sparse_check(const struct tar_sparse *s, int64_t file_bytes, uint64_t content_bytes,
		     struct error *e);
void tar_sparse_free(struct tar_sparse *s);
