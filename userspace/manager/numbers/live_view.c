/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/numbers/live_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "manager/mounts/counter_fold.h"
#include "manager/numbers/live_order.h"
#include "manager/records/record_list.h"
#include "manager/records/touched_files.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_disk.h"
#include "store/reader_rows.h"

/* A live view spends at most 1/50 of the time with folds. */
#define FOLD_SHARE 50

void live_view_free(struct live_view *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->rows[i].description);
		free(v->rows[i].type);
		free(v->rows[i].reader);
	}
	free(v->rows);
	*v = (struct live_view){ 0 };
}

int64_t live_view_processor_ns(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* ---- folding ---- */

static void fold_if_due(struct manager *m, const atomic_bool *cancelled)
{
	int64_t cost = atomic_load(&m->live_fold_cost_ns), now = clock_boot_ns();
	int64_t before = live_view_processor_ns();

	if (now - atomic_load(&m->live_fold_ends_ns) < FOLD_SHARE * cost)
		return;
	counter_fold_for_call(m, cancelled);
	atomic_store(&m->live_fold_cost_ns, live_view_processor_ns() - before);
	atomic_store(&m->live_fold_ends_ns, clock_boot_ns());
}

/* ---- rows ---- */

/* With the lock. */
static int fill_row(struct manager *m, const struct record *r, int64_t now_ns, struct live_row *row)
{
	const struct layer *l = r->layer;
	struct record_facts facts = record_list_facts(m, r, RECORD_SIZE_KNOWN);

	manager_assert_locked(m);
	memcpy(row->id, r->id, sizeof(row->id));
	memcpy(row->layer, l->name, sizeof(row->layer));
	if (r->parent)
		memcpy(row->below, r->parent->layer->name, sizeof(row->below));
	row->snapshot_kind = snapshot_kind_name(r->snapshot);
	row->is_mutable = r->is_mutable;
	row->lazy = l->lazy;
	row->in_use = r->marked;
	row->pinned = facts.pinned;
	row->shared = r->shared;
	row->mounted = r->mount != NULL;
	row->uncounted = record_is_uncounted(r);
	row->records = l->owners;
	row->uses = facts.usage_count;
	row->size_bytes = facts.size_bytes;
	row->inodes = l->measured ? l->inodes : -1;
	row->created_ns = r->created_ns;
	row->access = layer_access(l);
	(void)recent_reads_find(m->recent_reads, l->name, now_ns, &row->recent);
	row->description = strdup(r->description);
	row->type = strdup(r->type);
	return row->description && row->type ? 0 : -ENOMEM;
}

/* With the lock. */
static int fill_rows(struct manager *m, const struct live_order *order, struct live_view *v)
{
	int64_t now_ns = clock_boot_ns();

	manager_assert_locked(m);
	v->rows = calloc(order->count + 1, sizeof(*v->rows));
	if (!v->rows)
		return -ENOMEM;
	for (size_t i = 0; i < order->count; i++)
		if (fill_row(m, order->records[i], now_ns, &v->rows[v->count++]) < 0)
			return -ENOMEM;
	recent_reads_all(m->recent_reads, now_ns, &v->all);
	return 0;
}

/* Those of the records that are still there. With the lock. */
static int find_again(struct manager *m, const struct live_query *q, struct live_order *order)
{
	manager_assert_locked(m);
	order->records = calloc(q->id_count + 1, sizeof(struct record *));
	if (!order->records)
		return -ENOMEM;
	for (size_t i = 0; i < q->id_count && i < LIVE_VIEW_ROWS_MAX; i++) {
		const struct record *r = record_graph_find(m->graph, q->ids[i]);

		if (r && r->state == RECORD_LIVE)
			order->records[order->count++] = r;
	}
	return 0;
}

/* One pass with the lock, so that the marks that other passes make are those of this one. */
static int view_rows(struct manager *m, const struct live_query *q,
		     const struct live_matches *matches, struct live_view *v, struct error *e)
{
	cleanup(live_order_free) struct live_order order = { 0 };
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	int64_t before = live_view_processor_ns();
	int code;

	if (record_refs_mark_shared(locked->graph, locked->leases) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	record_refs_mark_in_use(locked->graph);
	if (q->id_count > 0) {
		code = find_again(locked, q, &order);
	} else {
		code = live_order_take(locked, q, matches, &order);
		v->order_cost_ns = live_view_processor_ns() - before + 1;
	}
	if (code == 0)
		code = fill_rows(locked, &order, v);
	v->matching = order.matching;
	return code < 0 ? error_set(e, code, "out of memory") : 0;
}

/* ---- what the database knows of them ---- */

struct last_reader {
	char *reader;
	int64_t last_ns;
};

static int note_reader(const struct reader_row *row, void *user)
{
	struct last_reader *last = user;
	char *copy;

	if (row->upkeep || !row->reader[0] || row->last_ns <= last->last_ns)
		return 0;
	copy = strdup(row->reader);
	if (!copy)
		return -ENOMEM;
	free(last->reader);
	*last = (struct last_reader){ copy, row->last_ns };
	return 0;
}

static int add_stored(struct manager *m, struct live_row *row, struct error *e)
{
	struct last_reader last = { NULL, 0 };
	struct file_rows_state state;
	int code;

	if (row->access.when.last_ns == 0)
		return 0; /* a layer that was never read has no rows */
	code = touched_files_load_state(m, row->layer, &state, e);
	if (code < 0)
		return code;
	row->files_touched = state.files;

	sqlite3 *db = database_lock_reader(m->database);
	code = reader_rows_load(db, row->layer, note_reader, &last, e);
	database_unlock_reader(m->database);
	row->reader = last.reader;
	return code;
}

int live_view_take(struct manager *m, const struct live_query *q, struct live_view *ret_view,
		   struct error *e)
{
	cleanup(live_view_free) struct live_view v = { 0 };
	cleanup(live_matches_free) struct live_matches matches = { 0 };
	int code;

	manager_assert_unlocked(m);
	if (q->skip + q->limit > LIVE_VIEW_ROWS_MAX || q->id_count > LIVE_VIEW_ROWS_MAX)
		return error_set(e, -EINVAL, "a live view has at most %d rows", LIVE_VIEW_ROWS_MAX);
	code = live_matches_find(m, q, &matches, e);
	if (code < 0)
		return code;
	fold_if_due(m, q->cancelled);
	code = view_rows(m, q, &matches, &v, e);
	for (size_t i = 0; i < v.count && code == 0; i++)
		code = add_stored(m, &v.rows[i], e);
	if (code < 0)
		return code;
	v.counted_ns = clock_boot_to_wall_ns(atomic_load(&m->live_fold_ends_ns));
	*ret_view = v;
	v = (struct live_view){ 0 };
	return 0;
}

void live_view_disk(struct manager *m, int64_t *ret_total, int64_t *ret_free)
{
	const struct prune_disk disk = store_disk_read(m);

	*ret_total = disk.total_bytes;
	*ret_free = disk.free_bytes;
}

int live_view_sort_by_name(const char *name, enum live_sort *ret_sort, struct error *e)
{
	static const char *const names[] = {
		[LIVE_SORT_RATE] = "rate",	 [LIVE_SORT_OPENS] = "opens",
		[LIVE_SORT_SIZE] = "size",	 [LIVE_SORT_READ] = "read",
		[LIVE_SORT_LAST] = "last",	 [LIVE_SORT_USES] = "uses",
		[LIVE_SORT_CREATED] = "created",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_sort = (enum live_sort)i;
			return 0;
		}
	}
	return error_set(e, -EINVAL,
			 "unknown order '%s' (rate, opens, size, read, last, uses, created)", name);
}
