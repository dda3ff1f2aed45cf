/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's cells into the records. What was folded of a cell and its layer's sums are
 * written in one transaction, so nothing is counted twice, whenever the agent ends. A fold of many
 * layers is many transactions, and gives back the manager's lock between them.
 */
#include "manager/mounts/counter_fold.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/fail_point.h"
#include "base/vec.h"
#include "manager/history/history.h"
#include "manager/history/history_save.h"
#include "manager/state/layer_watch.h"
#include "manager/state/manager_state.h"
#include "manager/state/recent_reads.h"
#include "manager/mounts/counter_save.h"
#include "manager/mounts/file_fold.h"
#include "manager/mounts/mount_index.h"
#include "manager/mounts/mount_lingering.h"
#include "manager/mounts/mount_list.h"
#include "store/usage_rows.h"

_Static_assert(LAYER_COUNTERS == USAGE_COUNTER_COUNT, "the graph counts what the kernel counts");

#define CELLS_PER_LOCK 1024

struct cells {
	struct usage_cell *cells;
	size_t count, capacity;
};

static void cells_free(struct cells *all)
{
	free(all->cells);
}
DEFINE_CLEANUP_VALUE(struct cells, cells_free)

static int gather_cell(const struct usage_cell *cell, void *user)
{
	struct cells *all = user;
	struct usage_cell *cells =
		vec_reserve(all->cells, &all->capacity, all->count + 1, sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	all->cells = cells;
	all->cells[all->count++] = *cell;
	return 0;
}

/* What happens in a layer that is an upper is work on it. With the lock. */
static void tell_history(struct manager *m, const char *layer, bool is_upper,
			 const struct usage_delta *delta)
{
	manager_assert_locked(m);
	if (is_upper)
		history_worked(m, layer, clock_wall_ns());
	else if (delta->last_read_boot_ns)
		history_needed(m, layer, clock_boot_to_wall_ns(delta->last_read_boot_ns));
}

static void mark_stale(struct layer *layer)
{
	layer->upper_changes++;
	layer->dirty |= layer->size_known;
	layer->size_known = false;
}

/* A layer that has its counts. */
static void credit(struct layer *layer, const struct usage_delta *delta, bool as_upper)
{
	struct layer_uses *a = &layer->access;
	int64_t first = clock_boot_to_wall_ns(delta->first_read_boot_ns);
	int64_t last = clock_boot_to_wall_ns(delta->last_read_boot_ns);
	int64_t written = clock_boot_to_wall_ns(delta->last_write_boot_ns);

	for (int i = 0; i < LAYER_COUNTERS; i++)
		layer->counts->counters[i] += delta->counters[i];
	if (written > a->last_write_ns)
		a->last_write_ns = written;
	layer->dirty = true;
	/* What is left of the mount in which the layer was filled, as layer_forget_uses() says. */
	if (as_upper && layer_is_committed(layer))
		return;
	a->uses += delta->uses;
	if (first && (!a->first_ns || first < a->first_ns))
		a->first_ns = first;
	if (last > a->last_ns)
		a->last_ns = last;
}

/* Before and after what was read is credited to the layer. With the lock. */
static void tell_first_read(struct manager *m, const struct layer *layer, int64_t first_ns_before)
{
	struct ring_event event = { .kind = EVENT_FIRST_READ, .bytes = -1 };

	manager_assert_locked(m);
	if (first_ns_before || !layer->access.first_ns)
		return;
	for (const struct record *r = layer->first_owner; r; r = r->next_owner)
		if (record_is_listed(r))
			memcpy(event.record, r->id, sizeof(event.record));
	memcpy(event.layer, layer->name, sizeof(event.layer));
	event_ring_add(m->events, &event);
}

static void tell_recent(struct manager *m, const struct layer *layer,
			const struct usage_delta *delta)
{
	recent_reads_add(m->recent_reads, layer->name, delta->counters[USAGE_READ_OPENS],
			 delta->counters[USAGE_READ_BYTES], clock_boot_ns());
}

static bool is_empty(const struct usage_delta *d)
{
	for (int i = 0; i < LAYER_COUNTERS; i++)
		if (d->counters[i])
			return false;
	return !d->uses && !d->last_read_boot_ns && !d->last_write_boot_ns;
}

/* True: there is something new. Without memory it is found by the next fold. With the lock. */
static bool apply_upkeep(struct manager *m, struct layer *layer, struct usage_fold_state **state,
			 const struct usage_cell *cell)
{
	struct layer_upkeep *sum;
	struct usage_delta delta;
	int64_t last;

	if (!layer_counts_make(layer) || !state || !usage_fold_find_state(state)) {
		usage_read_all_again(m->usage);
		return false;
	}
	usage_fold(*state, &cell->totals, true, &delta);
	if (is_empty(&delta))
		return false;
	manager_meters_upkeep(&m->meters, &delta);
	sum = &layer->counts->upkeep;
	sum->opens += delta.counters[USAGE_OPENS];
	sum->reads += delta.counters[USAGE_READS];
	sum->read_bytes += delta.counters[USAGE_READ_BYTES];
	last = clock_boot_to_wall_ns(delta.last_read_boot_ns);
	if (last > sum->last_ns)
		sum->last_ns = last;
	layer->dirty = true;
	return true;
}

/* With the lock. */
static void apply_cell(struct manager *m, struct mount *mount, const struct usage_cell *cell)
{
	struct mount_layer *ml = &mount->layers[cell->layer];
	struct layer *layer = record_graph_find_layer(m->graph, ml->name);
	struct usage_delta delta;
	int64_t first_ns;

	manager_assert_locked(m);
	if (cell->upkeep) {
		if (layer && apply_upkeep(m, layer, &ml->upkeep, cell))
			ml->dirty = true;
		return;
	}
	if (layer && !layer_counts_make(layer)) { /* the cell keeps it for the next fold */
		usage_read_all_again(m->usage);
		return;
	}
	usage_fold(&ml->folded, &cell->totals, false, &delta);
	if (is_empty(&delta) || !layer)
		return;
	ml->dirty = true;
	tell_history(m, ml->name, cell->layer == 0 && mount->writable, &delta);
	first_ns = layer->access.first_ns;
	credit(layer, &delta, cell->layer == 0);
	tell_first_read(m, layer, first_ns);
	manager_meters_accessed(&m->meters, &delta);
	tell_recent(m, layer, &delta);
	if (delta.counters[USAGE_UPPER_CHANGES] && !mount->abandoned)
		mark_stale(layer);
}

/* With the lock: changes by absolute paths may have been in any mounted upper. */
static void apply_unplaced_changes(struct manager *m)
{
	uint64_t changes = usage_read_unplaced_changes(m->usage);

	manager_assert_locked(m);
	if (changes == m->unplaced_changes_seen)
		return;
	m->unplaced_changes_seen = changes;
	for (struct mount *mount = m->mounts; mount; mount = mount->next) {
		struct layer *layer;

		if (!mount->writable)
			continue;
		layer = record_graph_find_layer(m->graph, mount->layers[0].name);
		if (layer) {
			mark_stale(layer);
			mount->layers[0].dirty = true;
		}
	}
}

/* With the lock: what a layer's own cell has. */
static void apply_watch(struct manager *m, struct layer_watch *watch, const struct usage_cell *cell,
			struct change_set *c)
{
	struct layer *layer = record_graph_find_layer(m->graph, watch->layer);
	struct usage_fold_state **state, *folded;
	struct usage_delta delta;
	int64_t first_ns;

	manager_assert_locked(m);
	if (cell->layer > USAGE_AS_LOWER || !layer)
		return;
	state = watch_table_fold(watch, cell->upkeep, cell->layer);
	if (cell->upkeep) {
		if (apply_upkeep(m, layer, state, cell))
			counter_save_watch(m, c, watch);
		return;
	}
	folded = state ? usage_fold_find_state(state) : NULL;
	if (!folded || !layer_counts_make(layer)) {
		/* Out of memory: the cell keeps it for the next fold. */
		usage_read_all_again(m->usage);
		return;
	}
	usage_fold(folded, &cell->totals, true, &delta);
	if (is_empty(&delta))
		return;
	tell_history(m, watch->layer, cell->layer == 0, &delta);
	first_ns = layer->access.first_ns;
	credit(layer, &delta, cell->layer == USAGE_AS_UPPER);
	tell_first_read(m, layer, first_ns);
	manager_meters_accessed(&m->meters, &delta);
	tell_recent(m, layer, &delta);
	if (delta.counters[USAGE_UPPER_CHANGES])
		mark_stale(layer);
	counter_save_watch(m, c, watch);
}

/* The cells of mounts, and what belongs to no cell. There are as many as mounts that live, or have
 * just ended, have layers. */
static int apply_mounts(struct manager *m, const struct cells *all, struct change_set *c,
			struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	cleanup(mount_index_free) struct mount_index mounts = { .count = 0 };

	if (mount_index_make(locked, false, &mounts) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < all->count; i++) {
		const struct usage_cell *cell = &all->cells[i];
		struct mount *mount;

		if (cell->owner & USAGE_LAYER_OWNER)
			continue;
		mount = mount_index_find(&mounts, cell->owner);
		if (mount && cell->layer < mount->layer_count)
			apply_cell(locked, mount, cell);
	}
	apply_unplaced_changes(locked);
	counter_save_dirty(locked, c);
	history_save(locked, c);
	return 0;
}

/* The layers' own cells from the first one on, as many as are looked at without giving back the
 * lock. */
static void apply_portion(struct manager *m, const struct cells *all, size_t first,
			  struct change_set *c)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	for (size_t i = first; i < all->count && i < first + CELLS_PER_LOCK; i++) {
		const struct usage_cell *cell = &all->cells[i];
		struct layer_watch *watch = NULL;

		if (cell->owner & USAGE_LAYER_OWNER)
			watch = watch_table_find(locked, cell->owner);
		if (watch)
			apply_watch(locked, watch, cell, c);
	}
}

/* There may be a cell for each layer of the store. Each portion is written before the next one is
 * looked at: a row that waited for the others could replace what was written meanwhile. */
static int apply_layers(struct manager *m, const struct cells *all, struct error *e)
{
	for (size_t first = 0; first < all->count; first += CELLS_PER_LOCK) {
		cleanup(change_set_free) struct change_set portion = { 0 };
		int code;

		apply_portion(m, all, first, &portion);
		code = change_set_write(&portion, m->database, DATABASE_RELAXED, e);
		if (code < 0)
			return code;
		fail_point("fold.portion");
	}
	return 0;
}

/* ---- replaced layers ---- */

/* With the lock, which is given back: a copy of the watch that this cell has something new of. */
static bool copy_changed(struct manager *m, const struct usage_cell *cell,
			 struct layer_watch *ret_watch)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	static const struct usage_totals none;
	const struct layer_watch *watch = watch_table_find(locked, cell->owner);
	const struct usage_fold_state *state = NULL;

	if (!watch || cell->layer > USAGE_AS_LOWER)
		return false;
	if (watch->folds)
		state = (cell->upkeep ? watch->folds->upkeep : watch->folds->counted)[cell->layer];
	if (memcmp(state ? &state->folded : &none, &cell->totals, sizeof(cell->totals)) == 0)
		return false;
	*ret_watch = *watch;
	return true;
}

/* Without the lock. What was read of a directory that is no longer the layer's, since when is not
 * known: it is not credited, and the layer's present one is watched from now on. */
static void drop_replaced(struct manager *m, const struct cells *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct layer_watch watch;

		if (!(all->cells[i].owner & USAGE_LAYER_OWNER) ||
		    !copy_changed(m, &all->cells[i], &watch) || layer_watch_is_current(m, &watch))
			continue;
		manager_report(m, true,
			       "layer=%s has another directory than before: what was counted in "
			       "the former one is dropped",
			       watch.layer);
		watch_table_end(m, watch.layer);
		layer_watch_layer(m, watch.layer);
	}
}

/* Mounts that are gone, and whose last cells are in this fold. */
struct settling {
	struct mount **gone;
	size_t count;
	bool waiting; /* others wait for a fold of their files */
	struct change_set *changes;
};

static bool was_accessed(const struct mount *mount)
{
	for (size_t i = 0; i < mount->layer_count; i++)
		if (mount->layers[i].folded.folded.last_read_boot_ns ||
		    (mount->layers[i].upkeep && mount->layers[i].upkeep->folded.last_read_boot_ns))
			return true;
	return false;
}

/* The rows of mounts that are gone are deleted. Those whose files are still in the kernel stay
 * until these have been folded. */
static void settle(struct manager *m, struct settling *s)
{
	/* The fold of files tells under the lock what it has folded. */
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	size_t settled = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (was_accessed(s->gone[i]) && !s->gone[i]->files_folded)
			continue;
		usage_rows_delete_mount(s->changes, (int64_t)s->gone[i]->id);
		s->gone[settled++] = s->gone[i];
	}
	s->waiting = settled < s->count;
	s->count = settled;
}

static void forget(struct manager *m, const struct settling *s)
{
	for (size_t i = 0; i < s->count; i++) {
		usage_bpf_forget(m->usage, s->gone[i]->id);
		manager_lock(m);
		mount_list_unlink(m, s->gone[i]);
		manager_unlock(m);
		mount_list_free(s->gone[i]);
	}
}

/* Of what has changed, or of the mounts that are gone. */
static int gather_cells(struct manager *m, const struct settling *s, bool gone_only,
			struct cells *all, struct error *e)
{
	int code = 0;

	if (!gone_only)
		return usage_read_changed_cells(m->usage, gather_cell, all, e);
	for (size_t i = 0; i < s->count && code == 0; i++)
		code = usage_read_mount_cells(m->usage, s->gone[i]->id, gather_cell, all, e);
	return code;
}

static int list_gone(struct manager *m, struct mount_index *ret_gone)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	mount_lingering_update(locked);
	return mount_index_make(locked, true, ret_gone);
}

static int try_fold(struct manager *m, bool gone_only, bool *ret_waiting, struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	cleanup(cells_free) struct cells all = { 0 };
	struct settling settling = { .changes = &changes };
	cleanup(mount_index_free) struct mount_index gone = { .count = 0 };
	/* Before the cells are read: a mount that ends afterwards has its last fold later. */
	int code = list_gone(m, &gone);

	if (code < 0)
		return error_set(e, code, "out of memory");
	settling.gone = gone.sorted;
	settling.count = gone.count;
	code = gather_cells(m, &settling, gone_only, &all, e);
	if (code < 0)
		return code;
	drop_replaced(m, &all);
	code = apply_layers(m, &all, e);
	if (code == 0)
		code = apply_mounts(m, &all, &changes, e);
	if (code < 0)
		return code;
	settle(m, &settling);
	code = change_set_write(&changes, m->database, DATABASE_RELAXED, e);
	if (code < 0)
		return code;
	fail_point("fold.written");
	forget(m, &settling);
	*ret_waiting = settling.waiting;
	return 0;
}

/* True: mounts that are gone wait for a fold of their files. */
static bool fold_locked(struct manager *m, bool gone_only)
{
	uint64_t begun = atomic_fetch_add(&m->folds_begun, 1) + 1;
	struct error e = { 0 };
	bool waiting = false;
	int code;

	assert(ranked_lock_is_held(&m->fold_lock));
	code = try_fold(m, gone_only, &waiting, &e);
	if (code == 0 && !gone_only)
		m->folds_whole = begun;
	atomic_fetch_add(&m->folds, 1);
	manager_lock(m);
	history_save_done(m, code == 0);
	if (!gone_only)
		recent_reads_close_window(m->recent_reads, clock_boot_ns());
	if (code < 0) {
		counter_save_mark_all(m);
		usage_read_all_again(m->usage);
	}
	manager_unlock(m);
	if (code < 0)
		manager_report(m, true, "fold: %s; it will be tried again", e.text);
	return waiting;
}

static bool fold(struct manager *m, bool gone_only)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = ranked_lock_acquire(&m->fold_lock);

	return fold_locked(m, gone_only);
}

static void wake_thread(struct manager *m)
{
	(void)eventfd_write(m->fold_wake_fd, 1); /* fails before the thread starts */
}

/* Cells first: they tell which layers' directories were replaced, whose files are not credited. */
void counter_fold(struct manager *m)
{
	struct error e = { 0 };
	bool waiting;

	manager_assert_unlocked(m);
	waiting = fold(m, false);
	if (file_fold(m, &e) < 0)
		manager_report(m, true, "%s; it will be tried again", e.text);
	else if (waiting)
		(void)fold(m, true);
}

void counter_fold_for_call(struct manager *m, const atomic_bool *cancelled)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = NULL;
	uint64_t begun_before = atomic_load(&m->folds_begun);

	manager_assert_unlocked(m);
	if (is_cancelled(cancelled))
		return;
	held = ranked_lock_acquire(&m->fold_lock);
	if (m->folds_whole <= begun_before && !is_cancelled(cancelled) && fold_locked(m, false))
		wake_thread(m);
}

void counter_fold_gone(struct manager *m)
{
	manager_assert_unlocked(m);
	if (fold(m, true))
		wake_thread(m);
}

/* ---- one layer ---- */

/* With the lock: the owner of the layer's own cells, 0: it has none. */
static uint64_t find_owner(struct manager *m, const char *layer)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct layer_watch *watch = watch_table_find_layer(locked, layer);

	return watch ? watch->owner : 0;
}

static int fold_owner(struct manager *m, uint64_t owner, struct cells *all, struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	int code = usage_read_mount_cells(m->usage, owner, gather_cell, all, e);

	if (code < 0)
		return code;
	drop_replaced(m, all);
	manager_lock(m);
	for (size_t i = 0; i < all->count; i++) {
		struct layer_watch *watch = watch_table_find(m, owner);

		if (watch)
			apply_watch(m, watch, &all->cells[i], &changes);
	}
	manager_unlock(m);
	return change_set_write(&changes, m->database, DATABASE_RELAXED, e);
}

void counter_fold_layer(struct manager *m, const char *layer)
{
	uint64_t owner = find_owner(m, layer);
	struct cells all = { 0 };
	struct error e = { 0 };

	if (!owner)
		return;
	cleanup(ranked_lock_release) struct ranked_lock *no_fold =
		ranked_lock_acquire(&m->fold_lock);
	if (fold_owner(m, owner, &all, &e) < 0) {
		manager_lock(m);
		counter_save_mark_all(m);
		manager_unlock(m);
		manager_report(m, true, "fold: %s; it will be tried again", e.text);
	}
	free(all.cells);
}
