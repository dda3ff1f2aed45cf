/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/counter_save.h"

#include <string.h>

#include "manager/state/layer_watch.h"
#include "manager/state/manager_state.h"
#include "store/layer_rows.h"
#include "store/usage_rows.h"

static struct usage_row make_row(uint64_t owner, size_t index, const char *layer,
				 const struct usage_fold_state *state)
{
	const struct usage_totals *folded = &state->folded;
	struct usage_row row = { .mount_id = (int64_t)owner,
				 .index = (int64_t)index,
				 .uses = folded->uses,
				 .first_read_boot_ns = folded->first_read_boot_ns,
				 .last_read_boot_ns = folded->last_read_boot_ns,
				 .last_write_boot_ns = folded->last_write_boot_ns,
				 .last_use_boot_ns = state->last_use_boot_ns };

	memcpy(row.layer, layer, LAYER_NAME_LENGTH + 1);
	memcpy(row.counters, folded->counters, sizeof(row.counters));
	return row;
}

static void save_mount_layer(struct change_set *c, const struct mount *mount, size_t index)
{
	const struct mount_layer *ml = &mount->layers[index];
	struct usage_row row = make_row(mount->id, index, ml->name, &ml->folded);

	usage_rows_set_layer(c, &row);
	if (!ml->upkeep)
		return;
	row = make_row(mount->id, USAGE_ROW_UPKEEP + index, ml->name, ml->upkeep);
	usage_rows_set_layer(c, &row);
}

static void save_layer(struct change_set *c, struct layer *layer)
{
	if (!layer || !layer->dirty)
		return;
	layer_rows_update(c, layer);
	layer->dirty = false;
}

static void save_cell(struct change_set *c, const struct layer_watch *watch, size_t index,
		      const struct usage_fold_state *state)
{
	struct usage_row row;

	if (!state)
		return;
	row = make_row(watch->owner, index, watch->layer, state);
	usage_rows_set_watch(c, &row);
}

/* With the lock. */
void counter_save_watch(struct manager *m, struct change_set *c, struct layer_watch *watch)
{
	const struct watch_folds *folds = watch->folds;

	for (size_t i = 0; folds && i < ARRAY_SIZE(folds->counted); i++) {
		save_cell(c, watch, i, folds->counted[i]);
		save_cell(c, watch, USAGE_ROW_UPKEEP + i, folds->upkeep[i]);
	}
	save_layer(c, record_graph_find_layer(m->graph, watch->layer));
	watch->dirty = false;
}

/* With the lock: everything that is dirty, layers by way of the mounts that they are in. */
void counter_save_dirty(struct manager *m, struct change_set *c)
{
	struct layer_watch *watch;
	struct layer *layer;

	manager_assert_locked(m);
	for (struct mount *mount = m->mounts; mount; mount = mount->next)
		for (size_t i = 0; i < mount->layer_count; i++) {
			struct mount_layer *ml = &mount->layers[i];

			if (ml->dirty)
				save_mount_layer(c, mount, i);
			if (ml->dirty)
				save_layer(c, record_graph_find_layer(m->graph, ml->name));
			ml->dirty = false;
		}
	for (size_t at = 0; m->unsaved && (watch = watch_table_next(m, &at));)
		if (watch->dirty)
			counter_save_watch(m, c, watch);
	for (size_t at = 0; m->unsaved && (layer = record_graph_next_layer(m->graph, &at));)
		save_layer(c, layer);
	m->unsaved = false;
}

/* With the lock: after a write that failed, everything is to be written again. */
void counter_save_mark_all(struct manager *m)
{
	struct layer_watch *watch;
	struct layer *layer;

	manager_assert_locked(m);
	for (struct mount *mount = m->mounts; mount; mount = mount->next)
		for (size_t i = mount->writable ? 0 : 1; i < mount->layer_count; i++)
			mount->layers[i].dirty = true;
	for (size_t at = 0; (watch = watch_table_next(m, &at));)
		watch->dirty = true;
	for (size_t at = 0; (layer = record_graph_next_layer(m->graph, &at));)
		layer->dirty = true;
	m->unsaved = true;
}
