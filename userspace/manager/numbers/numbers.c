/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/numbers/numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/vec.h"
#include "manager/content/content_blobs.h"
#include "manager/records/layer_sizes.h"
#include "manager/state/manager_state.h"
#include "manager/state/watch_table.h"
#include "usage/usage_programs.h"
#include "usage/usage_reader.h"

#define HOUR_NS (3600 * NS_PER_S)

/* The directory of a layer, fs and work in it, and the link to it. */
#define LAYER_OWN_INODES 4

static const int64_t windows[NUMBERS_WINDOWS] = { HOUR_NS, 24 * HOUR_NS, 7 * 24 * HOUR_NS,
						  30 * 24 * HOUR_NS };

int64_t numbers_window_ns(size_t window)
{
	return windows[window];
}

/* ---- records ---- */

/* The records that are pinned. */
struct pins {
	struct record **items;
	size_t count, capacity;
};

static void pins_free(struct pins *pins)
{
	free(pins->items);
}
DEFINE_CLEANUP_VALUE(struct pins, pins_free)

static int note_pin(struct pins *pins, struct record *r)
{
	struct record **items =
		vec_reserve(pins->items, &pins->capacity, pins->count + 1, sizeof(struct record *));

	if (!items)
		return -ENOMEM;
	pins->items = items;
	items[pins->count++] = r;
	return 0;
}

/* A layer's owners, counted; and what they say of it. */
struct ownership {
	const struct record *listed; /* NULL: none is */
	bool shared, committed, unmeasured;
};

static void count_record(struct numbers *n, const struct record *r)
{
	size_t type = manager_meters_type(r->type);

	n->records[type]++;
	n->in_use[type] += r->marked;
	n->pinned += record_is_pinned(r);
	n->lazy += r->layer->lazy;
}

static struct ownership count_owners(const struct manager *m, struct numbers *n,
				     const struct layer *layer)
{
	struct ownership o = { .listed = NULL };

	for (const struct record *r = layer->first_owner; r; r = r->next_owner) {
		o.shared |= r->shared;
		o.committed |= !r->is_mutable;
		o.unmeasured |= !layer_sizes_is_known(m, r);
		if (!record_is_listed(r))
			continue;
		o.listed = r;
		count_record(n, r);
	}
	return o;
}

/* ---- layers ---- */

static void add_age(struct numbers *n, const struct layer *layer, int64_t now_ns)
{
	int64_t last_ns = layer->access.last_ns;

	if (!last_ns)
		n->never_read_bytes += layer->allocated_bytes;
	for (size_t i = 0; i < NUMBERS_WINDOWS; i++)
		if (last_ns <= now_ns - windows[i])
			n->cold_bytes[i] += layer->allocated_bytes;
}

/* Keeps the layers that are read most, sorted. */
static void add_top(struct numbers *n, const struct layer *layer, const struct record *listed)
{
	uint64_t read_bytes = layer_counter(layer, USAGE_READ_BYTES);
	size_t at = n->top_count;
	struct numbers_layer *added;

	if (!read_bytes || (at == NUMBERS_TOP_LAYERS && n->top[at - 1].read_bytes >= read_bytes))
		return;
	if (at == NUMBERS_TOP_LAYERS)
		at--;
	else
		n->top_count++;
	for (; at > 0 && n->top[at - 1].read_bytes < read_bytes; at--)
		n->top[at] = n->top[at - 1];
	added = &n->top[at];
	*added = (struct numbers_layer){ .read_bytes = read_bytes,
					 .size_bytes = layer->allocated_bytes,
					 .last_read_ns = layer->access.last_ns };
	memcpy(added->layer, layer->name, sizeof(added->layer));
	memcpy(added->record, listed->id, sizeof(added->record));
}

/* Whether eviction could delete the layer, but for pins. */
static bool could_go(const struct layer *layer)
{
	bool kept = layer->lazy || layer->lingering;

	for (const struct record *r = layer->first_owner; r; r = r->next_owner)
		kept |= r->marked || r->mount || r->busy || r->extractions > 0 || r->shared;
	return !kept;
}

static int note_pins(struct pins *pins, const struct layer *layer)
{
	for (struct record *r = layer->first_owner; r; r = r->next_owner)
		if (r->pinned && note_pin(pins, r) < 0)
			return -ENOMEM;
	return 0;
}

/* With the lock. */
static int count_layers(struct manager *m, struct numbers *n, struct pins *pins, int64_t now_ns)
{
	const struct layer *layer;

	manager_assert_locked(m);
	for (size_t at = 0; (layer = record_graph_next_layer(m->graph, &at));) {
		struct ownership o = count_owners(m, n, layer);
		enum numbers_kind kind = !o.committed ? NUMBERS_UPPER
					 : o.shared   ? NUMBERS_SHARED
						      : NUMBERS_PRIVATE;

		n->layers++;
		if (note_pins(pins, layer) < 0)
			return -ENOMEM;
		if (o.listed)
			add_top(n, layer, o.listed);
		if (layer->lazy)
			continue;
		n->unmeasured += o.unmeasured;
		n->bytes[kind] += layer->allocated_bytes;
		n->inodes[kind] += layer->inodes + LAYER_OWN_INODES;
		if (o.committed)
			add_age(n, layer, now_ns);
		if (could_go(layer))
			n->reclaimable_bytes += layer->allocated_bytes;
	}
	return 0;
}

/* After all is counted: takes what pins keep out of what can be evicted, and marks it. */
static void subtract_pinned(struct numbers *n, const struct pins *pins)
{
	for (size_t i = 0; i < pins->count; i++)
		for (struct record *r = pins->items[i]; r && !r->marked; r = r->parent) {
			if (could_go(r->layer))
				n->reclaimable_bytes -= r->layer->allocated_bytes;
			r->marked = true;
		}
}

/* ---- the rest ---- */

static void count_mounts(struct manager *m, struct numbers *n)
{
	for (const struct mount *mount = m->mounts; mount; mount = mount->next) {
		if (!mount->record)
			continue;
		if (mount->writable)
			n->mounts_writable++;
		else
			n->mounts_read_only++;
	}
}

static void measure_database(const struct manager *m, struct numbers *n)
{
	static const char *const files[] = { "varve.db", "varve.db-wal" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (fstatat(m->root_fd, files[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		n->bytes[NUMBERS_METADATA] += st.st_blocks * 512;
		n->inodes[NUMBERS_METADATA]++;
	}
}

static int count_graph(struct manager *m, struct numbers *n)
{
	cleanup(pins_free) struct pins pins = { 0 };
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (record_refs_mark(locked->graph, locked->leases) < 0 ||
	    count_layers(locked, n, &pins, clock_wall_ns()) < 0)
		return -ENOMEM;
	subtract_pinned(n, &pins);
	count_mounts(locked, n);
	content_blobs_total(locked, &n->bytes[NUMBERS_BLOB], &n->inodes[NUMBERS_BLOB]);
	n->quarantined = hashmap_count(locked->quarantined);
	n->leases = hashmap_count(locked->leases);
	n->watched_layers = hashmap_count(locked->watches.by_layer);
	return 0;
}

int numbers_take(struct manager *m, struct numbers *ret_numbers, struct error *e)
{
	manager_assert_unlocked(m);
	*ret_numbers = (struct numbers){ 0 };
	if (count_graph(m, ret_numbers) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	measure_database(m, ret_numbers);
	return 0;
}

const struct manager_meters *numbers_meters(const struct manager *m)
{
	return &m->meters;
}

struct numbers_lost numbers_lost(struct manager *m)
{
	struct usage_lost lost = usage_read_lost(m->usage);

	return (struct numbers_lost){ lost.cells, lost.files };
}

bool numbers_sees(struct manager *m, size_t counter)
{
	return usage_sees(m->usage, (enum usage_counter)counter);
}

struct program_visit {
	void (*visit)(const char *name, uint64_t runs, uint64_t run_ns, void *user);
	void *user;
};

static int visit_program(const struct usage_program *program, void *user)
{
	const struct program_visit *v = user;

	v->visit(program->name, program->runs, program->run_ns, v->user);
	return 0;
}

int numbers_visit_programs(struct manager *m,
			   void (*visit)(const char *name, uint64_t runs, uint64_t run_ns,
					 void *user),
			   void *user)
{
	struct program_visit v = { visit, user };

	return usage_programs_visit(m->usage, visit_program, &v);
}
