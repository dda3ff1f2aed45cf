// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_reader.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "usage/usage_handle.h"
#include "usage/usage_layers.h"
#include "usage/usage_mapped.h"

#define REST_NS (2 * (uint64_t)NS_PER_S)
static const size_t counter_offsets[USAGE_COUNTER_COUNT] = {
	[USAGE_OPENS] = offsetof(struct usage_counts, opens),
	[USAGE_EXECS] = offsetof(struct usage_counts, execs),
	[USAGE_READS] = offsetof(struct usage_counts, reads),
	[USAGE_READ_BYTES] = offsetof(struct usage_counts, read_bytes),
	[USAGE_WRITES] = offsetof(struct usage_counts, writes),
	[USAGE_WRITTEN_BYTES] = offsetof(struct usage_counts, written_bytes),
	[USAGE_MMAPS] = offsetof(struct usage_counts, mmaps),
	[USAGE_STATS] = offsetof(struct usage_counts, stats),
	[USAGE_READLINKS] = offsetof(struct usage_counts, readlinks),
	[USAGE_COPY_UPS] = offsetof(struct usage_counts, copy_ups),
	[USAGE_COPIED_UP_BYTES] = offsetof(struct usage_counts, copied_up_bytes),
	[USAGE_UPPER_CHANGES] = offsetof(struct usage_counts, upper_changes),
	[USAGE_READ_OPENS] = offsetof(struct usage_counts, read_opens),
	[USAGE_MAPPED_BYTES] = offsetof(struct usage_counts, mapped_bytes),
};

uint32_t usage_unseen_counters(const struct usage_bpf *u)
{
	uint32_t unseen = u->maps.sees_faults ? 0 : 1U << USAGE_MAPPED_BYTES;

	if (u->backend == USAGE_BACKEND_NONE)
		return USAGE_ALL_COUNTERS;
	if (u->backend == USAGE_BACKEND_SYSCALL)
		unseen |= 1U << USAGE_STATS | 1U << USAGE_READLINKS | 1U << USAGE_COPIED_UP_BYTES;
	return unseen;
}

/* ---- cells ---- */

static void add_part(struct usage_totals *totals, const struct usage_counts *part)
{
	int64_t first = (int64_t)part->first_read, last = (int64_t)part->last_read;
	int64_t written = (int64_t)part->last_write;

	for (size_t i = 0; i < USAGE_COUNTER_COUNT; i++)
		totals->counters[i] += *(const __u64 *)((const char *)part + counter_offsets[i]);
	totals->uses += part->uses;
	if (first && (!totals->first_read_boot_ns || first < totals->first_read_boot_ns))
		totals->first_read_boot_ns = first;
	if (last > totals->last_read_boot_ns)
		totals->last_read_boot_ns = last;
	if (written > totals->last_write_boot_ns)
		totals->last_write_boot_ns = written;
}

/* The parts of cells as they come; parts of one cell are far from each other. */
struct gathered {
	struct usage_bpf *u;
	const struct usage_mount *mounts;
	size_t mount_count;
	struct usage_cell *cells;
	size_t count, capacity;
};

/* Ids are not used twice: what is unknown now is forgotten for good. A program that found the
 * layer just before it was unwatched may still be writing: its cell rests for a while, since the
 * next owner of its memory must not get what is added. */
static void delete_unknown_part(struct usage_bpf *u, const struct usage_cell_key *key,
				const struct usage_counts *counts)
{
	uint64_t last = counts->last_read > counts->last_write ? counts->last_read
							       : counts->last_write;

	if (key->owner & USAGE_LAYER_OWNER && last + REST_NS > (uint64_t)clock_boot_ns())
		return;
	(void)bpf_map_delete_elem(u->maps.cells, key);
}

static int gather_part(const struct usage_cell_key *key, const struct usage_counts *counts,
		       void *user)
{
	struct gathered *all = user;
	struct usage_cell *cells;

	if (!usage_handle_find(all->mounts, all->mount_count, key->owner) &&
	    !usage_handle_knows(all->u, key->owner)) {
		delete_unknown_part(all->u, key, counts);
		return 0;
	}
	cells = vec_reserve(all->cells, &all->capacity, all->count + 1, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	all->cells = cells;
	cells[all->count] = (struct usage_cell){ .owner = key->owner,
						 .layer = key->layer & ~USAGE_UPKEEP,
						 .upkeep = key->layer & USAGE_UPKEEP };
	add_part(&cells[all->count++].totals, counts);
	return 0;
}

/* What is sorted instead of the cells, which are large. */
struct place {
	uint64_t owner;
	uint32_t layer, index;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner > y->owner ? 1 : -1;
	return (x->layer > y->layer) - (x->layer < y->layer);
}

static void add_totals(struct usage_totals *to, const struct usage_totals *from)
{
	for (size_t i = 0; i < USAGE_COUNTER_COUNT; i++)
		to->counters[i] += from->counters[i];
	to->uses += from->uses;
	if (from->first_read_boot_ns &&
	    (!to->first_read_boot_ns || from->first_read_boot_ns < to->first_read_boot_ns))
		to->first_read_boot_ns = from->first_read_boot_ns;
	if (from->last_read_boot_ns > to->last_read_boot_ns)
		to->last_read_boot_ns = from->last_read_boot_ns;
	if (from->last_write_boot_ns > to->last_write_boot_ns)
		to->last_write_boot_ns = from->last_write_boot_ns;
}

/* As the kernel has it. */
static uint32_t cell_index(const struct usage_cell *cell)
{
	return cell->layer | (cell->upkeep ? USAGE_UPKEEP : 0);
}

static struct place *sort_places(const struct gathered *all)
{
	struct place *places = calloc(all->count + 1, sizeof(*places));

	if (!places)
		return NULL;
	for (size_t i = 0; i < all->count; i++)
		places[i] = (struct place){ all->cells[i].owner, cell_index(&all->cells[i]),
					    (uint32_t)i };
	qsort(places, all->count, sizeof(*places), compare_places);
	return places;
}

/* Each cell with all of its parts. */
static int visit_gathered(const struct gathered *all,
			  int (*visit)(const struct usage_cell *cell, void *user), void *user)
{
	cleanup(free_ptr) struct place *places = sort_places(all);

	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < all->count;) {
		struct usage_cell *cell = &all->cells[places[i].index];
		size_t first = i++;
		int code;

		while (i < all->count && compare_places(&places[first], &places[i]) == 0)
			add_totals(&cell->totals, &all->cells[places[i++].index].totals);
		code = visit(cell, user);
		if (code < 0)
			return code;
	}
	return 0;
}

int usage_read_cells(struct usage_bpf *u, int (*visit)(const struct usage_cell *cell, void *user),
		     void *user, struct error *e)
{
	struct gathered all = { .u = u };
	int code;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	usage_layers_sweep_uses(u);
	usage_mapped_sweep(u);
	cleanup(free_ptr) struct usage_mount *mounts = usage_handle_mounts(u, &all.mount_count);
	if (!mounts)
		return error_set(e, -ENOMEM, "out of memory");
	all.mounts = mounts;
	code = usage_handle_walk_cells(u, gather_part, &all, e);
	if (code == 0)
		code = visit_gathered(&all, visit, user);
	free(all.cells);
	return code == -ENOMEM ? error_set(e, code, "out of memory") : code;
}

static int read_cell(struct usage_bpf *u, struct usage_cell *cell, bool *ret_found, struct error *e)
{
	struct usage_cell_key key = { .owner = cell->owner, .layer = cell_index(cell) };
	struct usage_counts counts;

	*ret_found = false;
	for (key.part = 0; key.part < u->part_count; key.part++) {
		if (bpf_map_lookup_elem(u->maps.cells, &key, &counts) == 0) {
			add_part(&cell->totals, &counts);
			*ret_found = true;
		} else if (errno != ENOENT) {
			return error_set(e, -errno, "read the counters: %s", strerror(errno));
		}
	}
	return 0;
}

int usage_read_mount_cells(struct usage_bpf *u, uint64_t mount_id,
			   int (*visit)(const struct usage_cell *cell, void *user), void *user,
			   struct error *e)
{
	const struct usage_mount *mount;
	uint32_t layers;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	(void)pthread_mutex_lock(&u->lock);
	mount = usage_handle_find_mount(u, mount_id);
	layers = mount ? mount->layer_count : 0;
	(void)pthread_mutex_unlock(&u->lock);
	if (mount_id & USAGE_LAYER_OWNER)
		layers = USAGE_AS_LOWER + 1;
	for (uint32_t i = 0; i < 2 * layers; i++) {
		struct usage_cell cell = { .owner = mount_id, .layer = i / 2, .upkeep = i % 2 };
		bool found;
		int code = read_cell(u, &cell, &found, e);

		if (code == 0 && found)
			code = visit(&cell, user);
		if (code < 0)
			return code;
	}
	return 0;
}

/* ---- what could not be counted ---- */

static struct usage_lost_counts sum_lost(const struct usage_bpf *u)
{
	cleanup(free_ptr) struct usage_lost_counts *parts = calloc(u->cpu_count, sizeof(*parts));
	struct usage_lost_counts sum = { 0 };
	uint32_t zero = 0;

	if (!parts || bpf_map_lookup_elem(u->maps.lost, &zero, parts) < 0)
		return sum;
	for (uint32_t cpu = 0; cpu < u->cpu_count; cpu++) {
		sum.cells += parts[cpu].cells;
		sum.files += parts[cpu].files;
		sum.unplaced_changes += parts[cpu].unplaced_changes;
		sum.uses += parts[cpu].uses;
		sum.mapped += parts[cpu].mapped;
	}
	return sum;
}

struct usage_lost usage_read_lost(struct usage_bpf *u)
{
	struct usage_lost lost = { 0 };

	if (u->backend != USAGE_BACKEND_NONE) {
		struct usage_lost_counts sum = sum_lost(u);

		lost.cells = sum.cells + sum.uses;
		lost.files = sum.files + sum.mapped;
	}
	return lost;
}

uint64_t usage_read_unplaced_changes(struct usage_bpf *u)
{
	return u->backend == USAGE_BACKEND_NONE ? 0 : sum_lost(u).unplaced_changes;
}
