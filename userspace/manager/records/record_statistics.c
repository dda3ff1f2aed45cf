/* SPDX-License-Identifier: Apache-2.0 */
/* What was accessed, by record and by mount. */
#include "manager/records/record_statistics.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_list.h"
#include "manager/records/record_select.h"
#include "manager/records/touched_files.h"
#include "manager/mounts/counter_fold.h"

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
		       const struct live_files *live, const atomic_bool *cancelled, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		struct touched_files t = { 0 };
		int code;

		if (cancelled && atomic_load(cancelled))
			return error_set(e, -ECANCELED, "the statistics were cancelled");
		code = touched_files_gather(m, layers[i], live, &t, e);

		free(t.files);
		if (code < 0)
			return code;
		stats[i].files_touched = t.count;
	}
	return 0;
}

/* With the lock. */
static int record_stats(const struct manager *m, const struct record *r,
			struct record_statistics_view *s)
{
	manager_assert_locked(m);
	memcpy(s->id, r->id, sizeof(s->id));
	s->access = r->layer->access;
	s->size_bytes = r->layer->measured ? r->layer->allocated_bytes : -1;
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

/* One row of a mount for each of its layers, from the upper down. */
static int mount_stats(const struct manager *m, const struct record *r,
		       struct record_statistics_view *stats, char (*layers)[LAYER_NAME_LENGTH + 1],
		       size_t *count)
{
	const struct mount *mount = r->mount;
	const struct record *owner = r;

	for (size_t i = mount->writable ? 0 : 1; i < mount->layer_count; i++) {
		const struct usage_totals *folded = &mount->layers[i].folded.folded;
		struct record_statistics_view *s = &stats[*count];

		if (record_stats(m, owner, s) < 0)
			return -ENOMEM;
		memcpy(s->access.counters, folded->counters, sizeof(s->access.counters));
		s->access.first_ns = clock_boot_to_wall_ns(folded->first_access_boot_ns);
		s->access.last_ns = clock_boot_to_wall_ns(folded->last_access_boot_ns);
		s->mount_id = mount->id;
		s->layer_index = (uint32_t)i;
		free(s->mountpoint);
		s->mountpoint = mount_list_path(m, r, false);
		if (!s->mountpoint)
			return -ENOMEM;
		memcpy(layers[(*count)++], mount->layers[i].name, LAYER_NAME_LENGTH + 1);
		owner = owner->parent;
	}
	return 0;
}

/* With the lock. */
static int collect_stats(struct manager *m, struct record **records, size_t record_count,
			 bool by_mount, struct record_statistics_view **ret_stats,
			 char (**ret_layers)[LAYER_NAME_LENGTH + 1], size_t *ret_count,
			 struct error *e)
{
	size_t room = 1, count = 0;
	int code = 0;

	manager_assert_locked(m);
	for (size_t i = 0; i < record_count; i++)
		room += by_mount && records[i]->mount ? records[i]->mount->layer_count : 1;
	*ret_stats = calloc(room, sizeof(**ret_stats));
	*ret_layers = calloc(room, sizeof(**ret_layers));
	if (!*ret_stats || !*ret_layers)
		code = -ENOMEM;
	for (size_t i = 0; code == 0 && i < record_count; i++) {
		if (by_mount && records[i]->mount) {
			code = mount_stats(m, records[i], *ret_stats, *ret_layers, &count);
		} else if (!by_mount) {
			memcpy((*ret_layers)[count], records[i]->layer->name,
			       LAYER_NAME_LENGTH + 1);
			code = record_stats(m, records[i], &(*ret_stats)[count++]);
		}
	}
	*ret_count = count;
	return code < 0 ? error_set(e, code, "out of memory") : 0;
}

/* The rows of an answer, and the layer of each. */
struct statistics_rows {
	struct record_statistics_view *stats;
	char (*layers)[LAYER_NAME_LENGTH + 1];
	size_t count;
};

static void statistics_rows_free(struct statistics_rows *rows)
{
	record_statistics_free(rows->stats, rows->count);
	free(rows->layers);
}

DEFINE_CLEANUP_VALUE(struct statistics_rows, statistics_rows_free)

static int collect(struct manager *m, const char *const *ids, size_t id_count, bool by_mount,
		   struct statistics_rows *rows, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	cleanup(free_ptr) struct record **records = NULL;
	size_t selected = 0;
	int code = record_select(locked, ids, id_count, record_is_listed, &records, &selected, e);

	if (code < 0)
		return code;
	return collect_stats(locked, records, selected, by_mount, &rows->stats, &rows->layers,
			     &rows->count, e);
}

int record_statistics(struct manager *m, const char *const *ids, size_t id_count, bool by_mount,
		      const atomic_bool *cancelled, struct record_statistics_view **ret_stats,
		      size_t *ret_count, struct error *e)
{
	cleanup(statistics_rows_free) struct statistics_rows rows = { 0 };
	cleanup(touched_files_free_live) struct live_files live = { 0 };
	int code;

	counter_fold(m);
	cleanup(ranked_lock_release) struct ranked_lock *no_fold =
		ranked_lock_acquire(&m->fold_lock);
	code = collect(m, ids, id_count, by_mount, &rows, e);
	if (code < 0)
		return code;
	code = touched_files_read_live(m, &live, e);
	if (code < 0)
		return code;
	code = count_files(m, rows.stats, rows.layers, rows.count, &live, cancelled, e);
	if (code < 0)
		return code;
	*ret_count = rows.count;
	*ret_stats = take_ptr(rows.stats);
	rows.count = 0;
	return 0;
}
