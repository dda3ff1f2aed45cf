// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_reader.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "usage/usage_changed.h"
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

/* Ids are not used twice: what is unknown now is forgotten for good. A program that found the
 * layer just before it was unwatched may still be writing: its cell rests for a while, since the
 * next owner of its memory must not get what is added. */
static void delete_unknown_part(struct usage_bpf *u, const struct usage_cell_key *key,
				const struct usage_counts *part)
{
	uint64_t last = part->last_read > part->last_write ? part->last_read : part->last_write;

	if (key->owner & USAGE_LAYER_OWNER && last + REST_NS > (uint64_t)clock_boot_ns())
		return;
	(void)bpf_map_delete_elem(u->maps.cells, key);
}

/* ---- in order ---- */

/* What is sorted instead of the parts, which are large. */
struct place {
	uint64_t owner;
	uint32_t layer, index;
};

/* The byte of a place's sort key, from the least one on: those of the layer, then the owner's. */
static unsigned int key_byte(const struct place *place, unsigned int byte)
{
	return byte < 4 ? place->layer >> 8 * byte & 0xff
			: (unsigned int)(place->owner >> 8 * (byte - 4)) & 0xff;
}

/* Sorts by one byte, and keeps the order of those that have the same. */
static void sort_by_byte(const struct place *from, struct place *to, size_t count,
			 unsigned int byte)
{
	size_t starts[257] = { 0 };

	for (size_t i = 0; i < count; i++)
		starts[key_byte(&from[i], byte) + 1]++;
	for (size_t i = 1; i < 256; i++)
		starts[i] += starts[i - 1];
	for (size_t i = 0; i < count; i++)
		to[starts[key_byte(&from[i], byte)]++] = from[i];
}

static bool byte_differs(const struct place *places, size_t count, unsigned int byte)
{
	for (size_t i = 1; i < count; i++)
		if (key_byte(&places[i], byte) != key_byte(&places[0], byte))
			return true;
	return false;
}

/* There may be hundreds of thousands, of which most bytes are the same: ids count from 1. */
static struct place *sort_places(const struct usage_parts *all)
{
	cleanup(free_ptr) struct place *places = calloc(all->count + 1, sizeof(*places));
	cleanup(free_ptr) struct place *spare = calloc(all->count + 1, sizeof(*spare));

	if (!places || !spare)
		return NULL;
	for (size_t i = 0; i < all->count; i++)
		places[i] = (struct place){ all->keys[i].owner, all->keys[i].layer, (uint32_t)i };
	for (unsigned int byte = 0; byte < 12; byte++) {
		struct place *sorted = spare;

		if (!byte_differs(places, all->count, byte))
			continue;
		sort_by_byte(places, sorted, all->count, byte);
		spare = places;
		places = sorted;
	}
	return take_ptr(places);
}

/* What is known of a part, so that the counts, which are large, are read once and as they lie. */
struct link {
	uint32_t next; /* the next part of the same cell, plus 1; 0: there is none */
	enum { LINK_FIRST, LINK_FOLLOWS, LINK_UNKNOWN } kind; /* LINK_UNKNOWN: of no known owner */
};

static bool same_cell(const struct place *a, const struct place *b)
{
	return a->owner == b->owner && a->layer == b->layer;
}

/* Links the parts of each cell. */
static struct link *link_parts(struct usage_bpf *u, const struct usage_parts *all)
{
	cleanup(free_ptr) struct place *places = sort_places(all);
	cleanup(free_ptr) uint64_t *owners = NULL;
	cleanup(free_ptr) struct link *links = calloc(all->count + 1, sizeof(*links));
	size_t owner_count = 0, known = 0;

	if (places && links)
		owners = usage_handle_owners(u, &owner_count);
	if (!owners)
		return NULL;
	for (size_t i = 0; i < all->count; i++) {
		const struct place *place = &places[i];
		struct link *link = &links[place->index], *before;

		if (i > 0 && same_cell(place, place - 1)) {
			before = &links[place[-1].index];
			before->next = place->index + 1;
			link->kind = before->kind == LINK_UNKNOWN ? LINK_UNKNOWN : LINK_FOLLOWS;
			continue;
		}
		while (known < owner_count && owners[known] < place->owner)
			known++;
		/* It may have become known since the list was made. */
		if (!(known < owner_count && owners[known] == place->owner) &&
		    !usage_handle_knows(u, place->owner))
			link->kind = LINK_UNKNOWN;
	}
	return take_ptr(links);
}

/* Each cell with all of its parts. Of an owner that is not known all parts are deleted. */
static int visit_parts(struct usage_bpf *u, const struct usage_parts *all,
		       int (*visit)(const struct usage_cell *cell, void *user), void *user)
{
	cleanup(free_ptr) struct link *links = link_parts(u, all);
	int code = links ? 0 : -ENOMEM;

	for (size_t i = 0; i < all->count && code == 0; i++) {
		struct usage_cell cell = { .owner = all->keys[i].owner,
					   .layer = all->keys[i].layer & ~USAGE_UPKEEP,
					   .upkeep = all->keys[i].layer & USAGE_UPKEEP };

		if (links[i].kind == LINK_UNKNOWN)
			delete_unknown_part(u, &all->keys[i], &all->counts[i]);
		if (links[i].kind != LINK_FIRST)
			continue;
		add_part(&cell.totals, &all->counts[i]);
		for (uint32_t next = links[i].next; next; next = links[next - 1].next)
			add_part(&cell.totals, &all->counts[next - 1]);
		code = visit(&cell, user);
	}
	return code;
}

static void sweep(struct usage_bpf *u)
{
	usage_layers_sweep_uses(u);
	usage_mapped_sweep(u);
}

int usage_read_cells(struct usage_bpf *u, int (*visit)(const struct usage_cell *cell, void *user),
		     void *user, struct error *e)
{
	cleanup(usage_parts_free) struct usage_parts all = { .count = 0 };
	int code;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	sweep(u);
	code = usage_handle_read_parts(u, &all, e);
	if (code < 0)
		return code;
	u->cells_seen = all.count;
	code = visit_parts(u, &all, visit, user);
	return code == -ENOMEM ? error_set(e, code, "out of memory") : code;
}

/* As the kernel has it. */
static uint32_t cell_index(const struct usage_cell *cell)
{
	return cell->layer | (cell->upkeep ? USAGE_UPKEEP : 0);
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

static uint32_t count_layers(struct usage_bpf *u, uint64_t owner)
{
	const struct usage_mount *mount;
	uint32_t layers;

	if (owner & USAGE_LAYER_OWNER)
		return USAGE_AS_LOWER + 1;
	(void)pthread_mutex_lock(&u->lock);
	mount = usage_handle_find_mount(u, owner);
	layers = mount ? mount->layer_count : 0;
	(void)pthread_mutex_unlock(&u->lock);
	return layers;
}

int usage_read_mount_cells(struct usage_bpf *u, uint64_t mount_id,
			   int (*visit)(const struct usage_cell *cell, void *user), void *user,
			   struct error *e)
{
	uint32_t layers;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	layers = count_layers(u, mount_id);
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

/* ---- what has changed ---- */

/* Keeps the changed ones, and says how many lookups it takes to read their cells. */
static size_t keep_changed(struct usage_bpf *u, uint64_t *owners, size_t *count)
{
	size_t kept = 0, lookups = 0;

	for (size_t i = 0; i < *count; i++) {
		if (!usage_changed_has(u->changed, owners[i]))
			continue;
		lookups += (size_t)2 * count_layers(u, owners[i]) * u->part_count;
		owners[kept++] = owners[i];
	}
	*count = kept;
	return lookups;
}

/* *ret_all when it takes less to read all of them. */
static int read_changed(struct usage_bpf *u,
			int (*visit)(const struct usage_cell *cell, void *user), void *user,
			bool *ret_all, struct error *e)
{
	size_t count = 0;
	cleanup(free_ptr) uint64_t *owners = usage_handle_owners(u, &count);
	int code = 0;

	if (!owners)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_all = keep_changed(u, owners, &count) > u->cells_seen;
	for (size_t i = 0; i < count && code == 0 && !*ret_all; i++)
		code = usage_read_mount_cells(u, owners[i], visit, user, e);
	return code;
}

int usage_read_changed_cells(struct usage_bpf *u,
			     int (*visit)(const struct usage_cell *cell, void *user), void *user,
			     struct error *e)
{
	bool all;
	int code = 0;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	all = usage_changed_take(u->changed, clock_boot_ns());
	if (!all)
		code = read_changed(u, visit, user, &all, e);
	if (code == 0 && all)
		code = usage_read_cells(u, visit, user, e);
	else if (code == 0)
		sweep(u);
	if (code == 0)
		usage_changed_read(u->changed, all);
	return code;
}

void usage_read_all_again(struct usage_bpf *u)
{
	if (u->changed)
		usage_changed_all(u->changed);
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
