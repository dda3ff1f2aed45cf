// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_cells.h"

#include <errno.h>
#include <stdlib.h>

#define TAKEN INT64_MAX

struct usage_cells {
	uint32_t count;
	uint32_t next; /* where the search goes on: ranges are reused as late as possible */
	int64_t free_from[]; /* boot time from which on a cell may be taken */
};

struct usage_cells *usage_cells_new(uint32_t count)
{
	struct usage_cells *cells = calloc(1, sizeof(*cells) + count * sizeof(int64_t));

	if (cells)
		cells->count = count;
	return cells;
}

void usage_cells_free(struct usage_cells *cells)
{
	free(cells);
}

static void set(struct usage_cells *cells, uint32_t first, uint32_t count, int64_t free_from)
{
	for (uint32_t i = 0; i < count && first + i < cells->count; i++)
		cells->free_from[first + i] = free_from;
}

/* The first range of `count` free cells that begins at `from` or later, else cells->count. */
static uint32_t find(const struct usage_cells *cells, uint32_t from, uint32_t count, int64_t now)
{
	uint32_t run = 0;

	for (uint32_t i = from; i < cells->count; i++) {
		run = cells->free_from[i] <= now ? run + 1 : 0;
		if (run == count)
			return i + 1 - count;
	}
	return cells->count;
}

int64_t usage_cells_take(struct usage_cells *cells, uint32_t count, int64_t now_boot_ns)
{
	uint32_t first;

	if (count == 0 || count > cells->count)
		return -ENOSPC;
	first = find(cells, cells->next, count, now_boot_ns);
	if (first == cells->count)
		first = find(cells, 0, count, now_boot_ns);
	if (first == cells->count)
		return -ENOSPC;
	set(cells, first, count, TAKEN);
	cells->next = first + count;
	return first;
}

void usage_cells_mark_taken(struct usage_cells *cells, uint32_t first, uint32_t count)
{
	set(cells, first, count, TAKEN);
}

void usage_cells_give_back(struct usage_cells *cells, uint32_t first, uint32_t count,
			   int64_t now_boot_ns)
{
	set(cells, first, count, now_boot_ns + USAGE_CELLS_REST_NS);
}
