/* SPDX-License-Identifier: Apache-2.0 */
/* What was left out of a layer on purpose, for the caller to report: the number, and the first
 * cases. */
#pragma once

#include <stdint.h>

struct tar_notes {
	uint64_t count;
	char text[512]; /* "'a': attribute user.x: Operation not permitted; 'b': …"; "" for none */
};

/* `path` is that of the entry, or NULL for what does not belong to an entry. */
void tar_notes_add(struct tar_notes *n, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
