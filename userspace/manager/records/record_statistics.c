/* SPDX-License-Identifier: Apache-2.0 */
/* What was accessed, by record and by mount. */
#include "manager/records/record_statistics.h"

#include <errno.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/vec.h"
#include "manager/records/layer_sizes.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_list.h"
#include "manager/records/record_select.h"
#include "manager/records/touched_files.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/file_fold.h"

void record_statistics_free(struct record_statistics_view *stats, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(stats[i].description);
		free(stats[i].mountpoint);
		free(stats[i].snapshot_key);
	}
	free(stats);
}

static int count_files(struct manager *m, struct record_statistics_view *stats,
		       char (*layers)[LAYER_NAME_LENGTH + 1], size_t count,
		       const atomic_bool *cancelled, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		struct file_rows_state state;
		int code = cancellation_check(cancelled, e);

		if (code < 0)
			return code;
		code = touched_files_load_state(m, layers[i], &state, e);
		if (code < 0)
			return code;
		stats[i].files_touched = state.files;
		stats[i].complete_since_ns = state.complete_since_ns;
	}
	return 0;
}

/* With the lock. */
static int record_stats(const struct manager *m, const struct record *r,
			struct record_statistics_view *s)
{
	manager_assert_locked(m);
	memcpy(s->id, r->id, sizeof(s->id));
	s->access = layer_access(r->layer);
	s->uncounted = record_is_uncounted(r);
	s->size_bytes = layer_sizes_is_known(m, r) ? r->layer->allocated_bytes : -1;
	s->description = strdup(r->description);
	if (r->mount)
		s->mountpoint = mount_list_path(m, r, false);
	if (r->snapshot) {
		s->snapshot_kind = snapshot_kind_name(r->snapshot);
		s->snapshot_key = strdup(r->snapshot->key);
	}
	return s->description && (!r->mount || s->mountpoint) && (!r->snapshot || s->snapshot_key)
		       ? 0
		       : -ENOMEM;
}

/* The rows of an answer, and the layer of each. */
struct statistics_rows {
	struct record_statistics_view *stats;
	char (*layers)[LAYER_NAME_LENGTH + 1];
	size_t count, stats_capacity, layers_capacity;
};

static void statistics_rows_free(struct statistics_rows *rows)
{
	record_statistics_free(rows->stats, rows->count);
	free(rows->layers);
}

DEFINE_CLEANUP_VALUE(struct statistics_rows, statistics_rows_free)

static int make_room(struct statistics_rows *rows, size_t more)
{
	void *stats = vec_reserve(rows->stats, &rows->stats_capacity, rows->count + more,
				  sizeof(*rows->stats));
	void *layers = vec_reserve(rows->layers, &rows->layers_capacity, rows->count + more,
				   sizeof(*rows->layers));

	if (stats)
		rows->stats = stats;
	if (layers)
		rows->layers = layers;
	return stats && layers ? 0 : -ENOMEM;
}

/* One more row, which may be freed from now on. After make_room(). */
static struct record_statistics_view *add_row(struct statistics_rows *rows, const char *layer)
{
	memcpy(rows->layers[rows->count], layer, LAYER_NAME_LENGTH + 1);
	rows->stats[rows->count] = (struct record_statistics_view){ .size_bytes = -1 };
	return &rows->stats[rows->count++];
}

static struct layer_upkeep mount_upkeep(const struct usage_fold_state *state)
{
	const struct usage_totals *folded = state ? &state->folded : NULL;

	if (!folded)
		return (struct layer_upkeep){ 0 };
	return (struct layer_upkeep){ .opens = folded->counters[USAGE_OPENS],
				      .reads = folded->counters[USAGE_READS],
				      .read_bytes = folded->counters[USAGE_READ_BYTES],
				      .last_ns = clock_boot_to_wall_ns(folded->last_read_boot_ns) };
}

/* One row of a mount for each of its layers, from the upper down. */
static int mount_stats(const struct manager *m, const struct record *r,
		       struct statistics_rows *rows)
{
	const struct mount *mount = r->mount;
	const struct record *owner = r;

	if (make_room(rows, mount->layer_count) < 0)
		return -ENOMEM;
	for (size_t i = mount->writable ? 0 : 1; i < mount->layer_count; i++) {
		const struct usage_totals *folded = &mount->layers[i].folded.folded;
		struct record_statistics_view *s = add_row(rows, mount->layers[i].name);

		if (record_stats(m, owner, s) < 0)
			return -ENOMEM;
		memcpy(s->access.counts.counters, folded->counters,
		       sizeof(s->access.counts.counters));
		s->access.when.first_ns = clock_boot_to_wall_ns(folded->first_read_boot_ns);
		s->access.when.last_ns = clock_boot_to_wall_ns(folded->last_read_boot_ns);
		s->access.when.last_write_ns = clock_boot_to_wall_ns(folded->last_write_boot_ns);
		s->access.counts.upkeep = mount_upkeep(mount->layers[i].upkeep);
		s->mount_id = mount->id;
		s->layer_index = (uint32_t)i;
		free(s->mountpoint);
		s->mountpoint = mount_list_path(m, r, false);
		if (!s->mountpoint)
			return -ENOMEM;
		owner = owner->parent;
	}
	return 0;
}

/* With the lock. */
static int add_record(struct manager *m, const struct record *r, bool by_mount,
		      struct statistics_rows *rows)
{
	manager_assert_locked(m);
	if (by_mount)
		return r->mount ? mount_stats(m, r, rows) : 0;
	if (make_room(rows, 1) < 0)
		return -ENOMEM;
	return record_stats(m, r, add_row(rows, r->layer->name));
}

/* Of those of the records that are still there; of each, where the caller named them. The lock is
 * given to others now and then. */
static int collect(struct manager *m, const struct record_selection *selection,
		   const struct record_choice *choices, size_t count, bool by_mount,
		   struct statistics_rows *rows, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	for (size_t i = 0; i < count; i++) {
		const struct record *r;
		int code = cancellation_check(selection->cancelled, e);

		if (code < 0)
			return code;
		if (i % RECORD_SELECT_AT_ONCE == RECORD_SELECT_AT_ONCE - 1)
			manager_yield(locked);
		r = record_graph_find(locked->graph, choices[i].id);
		if ((!r || r->state != RECORD_LIVE) && selection->id_count > 0)
			return record_select_refuse_gone(&choices[i], e);
		if (r && r->state == RECORD_LIVE && add_record(locked, r, by_mount, rows) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

int record_statistics(struct manager *m, const char *const *ids, size_t id_count, bool by_mount,
		      const atomic_bool *cancelled, struct record_statistics_view **ret_stats,
		      size_t *ret_count, struct error *e)
{
	cleanup(statistics_rows_free) struct statistics_rows rows = { 0 };
	cleanup(free_ptr) struct record_choice *choices = NULL;
	const struct record_selection selection = { .ids = ids,
						    .id_count = id_count,
						    .included = record_is_listed,
						    .cancelled = cancelled };
	struct error late = { 0 };
	size_t chosen = 0;
	int code = record_select(m, &selection, &choices, &chosen, e);

	if (code < 0)
		return code;
	counter_fold_for_call(m, cancelled);
	if (file_fold_for_call(m, cancelled, &late) < 0) /* a full disk: the number is too low */
		manager_report(m, true, "%s; it will be tried again", late.text);
	code = collect(m, &selection, choices, chosen, by_mount, &rows, e);
	if (code < 0)
		return code;
	code = count_files(m, rows.stats, rows.layers, rows.count, cancelled, e);
	if (code < 0)
		return code;
	*ret_count = rows.count;
	*ret_stats = take_ptr(rows.stats);
	rows.count = 0;
	return 0;
}
