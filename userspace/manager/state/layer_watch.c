/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/layer_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "manager/state/new_names.h"
#include "manager/state/store_files.h"
#include "store/usage_rows.h"

/* ---- the layer's directory ---- */

static int look(struct manager *m, const char *layer, struct layer_watch *ret_seen)
{
	char path[STORE_FILES_PATH_SIZE];
	struct statx st;

	store_files_layer_path(layer, path);
	if (statx(m->root_fd, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) < 0)
		return -errno;
	ret_seen->root.inode = st.stx_ino;
	ret_seen->root.device = st.stx_dev_major << 20 | st.stx_dev_minor;
	ret_seen->born_ns = st.stx_mask & STATX_BTIME
				    ? st.stx_btime.tv_sec * NS_PER_S + st.stx_btime.tv_nsec
				    : 0;
	return 0;
}

static bool looks_the_same(const struct layer_watch *watch, const struct layer_watch *seen)
{
	return watch->born_ns && watch->born_ns == seen->born_ns &&
	       watch->root.inode == seen->root.inode && watch->root.device == seen->root.device;
}

static int identify(struct manager *m, const char *layer, struct usage_root *ret_root,
		    struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	int code = store_files_open_layer(m, layer, &fd, e);

	return code < 0 ? code : usage_layers_identify(fd, ret_root, e);
}

bool layer_watch_is_current(struct manager *m, const struct layer_watch *watch)
{
	struct layer_watch seen = { 0 };

	if (look(m, watch->layer, &seen) < 0)
		return false;
	if (looks_the_same(watch, &seen))
		return true;
	/* Without a time of birth the generation decides. */
	return !watch->born_ns && identify(m, watch->layer, &seen.root, NULL) == 0 &&
	       memcmp(&seen.root, &watch->root, sizeof(seen.root)) == 0;
}

/* ---- watching ---- */

static bool is_watched_as(struct manager *m, const char *layer, const struct layer_watch *seen)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct layer_watch *watch = watch_table_find_layer(locked, layer);

	return watch && looks_the_same(watch, seen);
}

/* Takes the place of the layer's former watch. */
static int publish(struct manager *m, const struct layer_watch *watch, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct layer_watch *former = watch_table_find_layer(locked, watch->layer);
	struct layer_watch *copy;

	if (former && former->owner == watch->owner) {
		former->born_ns = watch->born_ns;
		return 0;
	}
	if (former)
		watch_table_remove(locked, former);
	copy = malloc(sizeof(*copy));
	if (copy)
		*copy = *watch;
	if (copy && watch_table_insert(locked, copy) == 0)
		return 0;
	usage_layers_unwatch(locked->usage, &watch->root, watch->owner);
	return error_set(e, -ENOMEM, "out of memory");
}

static int watch_layer(struct manager *m, const char *layer, struct error *e)
{
	struct layer_watch watch = { 0 };
	int code = look(m, layer, &watch);

	if (code < 0)
		return error_set(e, code, "stat the files: %s", strerror(-code));
	if (is_watched_as(m, layer, &watch))
		return 0;
	code = identify(m, layer, &watch.root, e);
	if (code < 0)
		return code;
	memcpy(watch.layer, layer, strlen(layer) + 1);
	manager_lock(m);
	watch.owner = new_names_mount_id(m) | USAGE_LAYER_OWNER;
	manager_unlock(m);
	code = usage_layers_watch(m->usage, &watch.root, layer, &watch.owner, e);
	fail_point("accounting.watched");
	return code < 0 ? code : publish(m, &watch, e);
}

void layer_watch_layer(struct manager *m, const char *layer)
{
	struct error e = { 0 };

	manager_assert_unlocked(m);
	if (usage_bpf_backend(m->usage) == USAGE_BACKEND_NONE || watch_layer(m, layer, &e) == 0)
		return;
	/* One for all: the reason is that of the file system, or of a map that is full. */
	if (!atomic_exchange(&m->watches.has_failed, true))
		manager_report(m, true,
			       "layer=%s is counted in the agent's own mounts only: %s; there may "
			       "be more such layers",
			       layer, e.text);
}

void layer_watch_chain(struct manager *m, const struct record *r)
{
	for (; r; r = r->parent)
		layer_watch_layer(m, r->layer->name);
}

/* ---- at start ---- */

struct recovering {
	struct manager *m;
	struct change_set *changes;
};

/* What the kernel still watches: the layer that it was, or another directory by now. */
static int adopt(const struct usage_root *root, const char *name, uint64_t owner, void *user)
{
	struct manager *m = ((struct recovering *)user)->m;
	const struct layer *layer = record_graph_find_layer(m->graph, name);
	struct layer_watch watch = { .owner = owner }, seen = { 0 };
	struct error e = { 0 };

	watch.root = *root;
	if (!layer || layer->lazy || look(m, name, &seen) < 0 ||
	    identify(m, name, &seen.root, &e) < 0 ||
	    memcmp(&seen.root, root, sizeof(seen.root)) != 0) {
		usage_layers_unwatch(m->usage, root, owner);
		return 0;
	}
	watch.born_ns = seen.born_ns;
	memcpy(watch.layer, layer->name, sizeof(watch.layer));
	if ((owner & ~USAGE_LAYER_OWNER) > m->last_mount_id)
		m->last_mount_id = owner & ~USAGE_LAYER_OWNER;
	return publish(m, &watch, &e);
}

/* What has been folded of cells that the kernel still has. */
static int load_folded(const struct usage_row *row, void *user)
{
	struct recovering *load = user;
	struct layer_watch *watch = watch_table_find(load->m, (uint64_t)row->mount_id);
	bool upkeep = row->index >= USAGE_ROW_UPKEEP;
	int64_t index = row->index - (upkeep ? USAGE_ROW_UPKEEP : 0);
	struct usage_fold_state **at, *state;

	if (!watch || index < USAGE_AS_UPPER || index > USAGE_AS_LOWER) {
		usage_rows_delete_watch(load->changes, row->mount_id);
		return 0;
	}
	at = watch_table_fold(watch, upkeep, (size_t)index);
	state = at ? usage_fold_find_state(at) : NULL;
	if (!state)
		return -ENOMEM;
	memcpy(state->folded.counters, row->counters, sizeof(row->counters));
	state->folded.uses = row->uses;
	state->folded.first_read_boot_ns = row->first_read_boot_ns;
	state->folded.last_read_boot_ns = row->last_read_boot_ns;
	state->folded.last_write_boot_ns = row->last_write_boot_ns;
	return 0;
}

static int load_rows(struct recovering *load, struct error *e)
{
	sqlite3 *db = database_lock_reader(load->m->database);
	int code = usage_rows_load_watches(db, load_folded, load, e);

	database_unlock_reader(load->m->database);
	return code;
}

/* Also layers that no client has requested since the kernel started: clients may have mounted them.
 */
static void watch_all(struct manager *m)
{
	const struct layer *layer;

	for (size_t at = 0; (layer = record_graph_next_layer(m->graph, &at));)
		if (!layer->lazy && !watch_table_find_layer(m, layer->name))
			layer_watch_layer(m, layer->name);
}

int layer_watch_recover(struct manager *m, struct change_set *c, struct error *e)
{
	struct recovering load = { .m = m, .changes = c };
	int code = usage_layers_list(m->usage, adopt, &load, e);
	if (code == 0)
		code = load_rows(&load, e);
	if (code == 0)
		watch_all(m);
	return code;
}
