/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: which cells of the map are taken. A mount's cells lie side by side. A range that is given
 * back rests for a while, so that a program which still holds the old mount's slot cannot write
 * into the cell of another. Used by usage_bpf.c, under its lock.
 */
#pragma once

#include <stdint.h>

#define USAGE_CELLS_REST_NS (2 * INT64_C(1000000000))

struct usage_cells;

struct usage_cells *usage_cells_new(uint32_t count); /* NULL when out of memory; all are free */
void usage_cells_free(struct usage_cells *cells);

/* The first cell of a free range, or -ENOSPC. */
int64_t usage_cells_take(struct usage_cells *cells, uint32_t count, int64_t now_boot_ns);
/* For what was found taken in the map. */
void usage_cells_mark_taken(struct usage_cells *cells, uint32_t first, uint32_t count);
void usage_cells_give_back(struct usage_cells *cells, uint32_t first, uint32_t count,
			   int64_t now_boot_ns);
