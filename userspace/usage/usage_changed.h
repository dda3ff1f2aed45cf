/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of which owners the cells may have changed, by the bytes that the programs set (touched_owners).
 * A program may add to a cell just after its byte was taken, or, within the same tick of the clock,
 * without setting it again: an owner therefore stays among the changed ones until its cells have
 * been read a while after. Used by usage_reader.c, by one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct usage_changed;

int usage_changed_open(int map, struct usage_changed **ret_changed, struct error *e);
void usage_changed_close(struct usage_changed *c); /* NULL is fine */
DEFINE_CLEANUP(struct usage_changed *, usage_changed_close)

/* Takes the bytes. True: all cells are to be read, because nothing is known, or it was long ago. */
bool usage_changed_take(struct usage_changed *c, int64_t now_boot_ns);
bool usage_changed_has(const struct usage_changed *c, uint64_t owner);
/* The cells have been read since the bytes were taken. */
void usage_changed_read(struct usage_changed *c, bool all);
/* From any thread: the next call takes all for changed. */
void usage_changed_all(struct usage_changed *c);
