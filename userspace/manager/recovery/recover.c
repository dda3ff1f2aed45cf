/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At start: compares the database, the directories and the kernel's mount table, and makes them
 * agree. Discards what was half made or half deleted, quarantines what has lost its data, adopts
 * the mounts that are still there with their counters, unmounts strangers, and says what it did.
 */
#include "manager/recovery/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "base/units.h"
#include "manager/recovery/clock_check.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_index.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_lingering.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/mount_attach.h"
#include "manager/records/record_delete.h"
#include "manager/recovery/quarantine.h"
#include "manager/recovery/recover_rows.h"
#include "manager/snapshots/spare_layers.h"
#include "manager/state/layer_watch.h"
#include "manager/state/new_names.h"
#include "manager/state/store_files.h"
#include "manager/state/store_root.h"
#include "manager/mounts/counter_fold.h"
#include "overlay/mount_table.h"
#include "overlay/overlay_mount.h"
#include "overlay/overlay_staging.h"
#include "store/layer_rows.h"
#include "store/store_rows.h"
#include "store/usage_rows.h"

/* A layer without a record that is older than this was not left by a crash just now. */
#define NEW_LAYER_NS (3600 * NS_PER_S)

struct recovering {
	struct manager *m;
	struct change_set *changes;
	struct mount_index mounts; /* once their rows are loaded */
};

/* Whether the directory was made about now, give or take what a crash and the restart after it may
 * take. A clock that is wrong makes nothing new. */
static bool is_new(const struct stat *st)
{
	int64_t age_ns = clock_wall_ns() - (st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec);

	return age_ns > -NEW_LAYER_NS && age_ns < NEW_LAYER_NS;
}

/* Layers without a record, and where they go. */
struct strays {
	struct quarantine quarantine;
	bool restored; /* the database is a backup, or was rebuilt: layers may be missing in it */
};

/*
 * A crash leaves a layer without a record when it hits between making the files and writing the
 * row, or between deleting the row and the files. One that is older belonged to a record that this
 * database does not know, and so may any one if the database was restored.
 */
static int remove_stray(struct manager *m, const char *name, struct strays *s, struct error *e)
{
	char path[sizeof("layers/") + LAYER_NAME_LENGTH];
	struct stat st;
	int code;

	(void)snprintf(path, sizeof(path), "layers/%s", name);
	if (fstatat(m->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, -errno, "stat %s/%s: %s", m->root, path, strerror(errno));
	if (!s->restored && is_new(&st)) {
		manager_report(m, false, "layer=%s belongs to no record: discarded", name);
		return store_files_discard(m, name, e);
	}
	code = quarantine_put(m, &s->quarantine, path, e);
	if (code < 0)
		return code;
	(void)snprintf(path, sizeof(path), "l/%s", name);
	(void)unlinkat(m->root_fd, path, 0); /* there may be none; fsck finds one that stays */
	manager_report(m, true,
		       "layer=%s belongs to no record, though %s: moved to %s/%s; "
		       "varve fsck --repair deletes it",
		       name, s->restored ? "the database was restored" : "it is old", m->root,
		       s->quarantine.path);
	return 0;
}

static int reconcile_layer(struct manager *m, const char *name, struct strays *s, struct error *e)
{
	const struct layer *layer;
	int code;

	recover_rows_take_name(m, name);
	if (recover_rows_is_quarantined(m, name))
		return 0;
	layer = record_graph_find_layer(m->graph, name);
	if (!layer)
		return remove_stray(m, name, s, e);
	if (layer->lazy) {
		manager_report(m, false, "layer=%s was never whole: discarded", name);
		return store_files_discard(m, name, e);
	}
	code = store_files_link(m, name, e);
	return code < 0 ? code : 0;
}

/* Directories of layers that the database does not know, and the links of those that it does. */
static int reconcile_layers(struct manager *m, struct strays *s, struct error *e)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(m, "layers");
	struct dirent *entry;
	int code = 0;

	if (!d)
		return error_set(e, -errno, "open %s/layers: %s", m->root, strerror(errno));
	while (code == 0 && (entry = readdir(d))) {
		const char *name = entry->d_name;

		if (name[0] == '.')
			continue;
		if (strlen(name) > LAYER_NAME_LENGTH) {
			manager_report(m, true, "%s/layers/%s is not ours: left alone", m->root,
				       name);
			continue;
		}
		code = reconcile_layer(m, name, s, e);
	}
	return code;
}

/* Its record was deleted or committed, and its counts were not folded any more. */
static int load_gone_mount(struct manager *m, uint64_t id, bool writable, const char *layers)
{
	struct mount *mount = mount_list_new_gone(id, writable, layers);

	if (!mount)
		return -ENOMEM;
	mount->abandoned = true;
	mount->next = m->mounts;
	m->mounts = mount;
	return 0;
}

/* Rows of mounts, until it is known which of them are still there. */
static int load_mount(const struct mount_row *row, void *user)
{
	struct recovering *load = user;
	struct manager *m = load->m;
	struct record *r = record_graph_find(m->graph, row->record);
	cleanup(id_map_free) struct id_map map = { 0 };
	uint64_t id = (uint64_t)row->id;
	struct mount *mount;
	int code;

	if (id > m->last_mount_id)
		m->last_mount_id = id;
	if (strcmp(row->boot, m->boot_id) == 0 && (!r || row->writable != r->is_mutable))
		return load_gone_mount(m, id, row->writable, row->layers);
	if (!r || strcmp(row->boot, m->boot_id) != 0 || row->writable != r->is_mutable) {
		usage_bpf_retire(m->usage, id);
		usage_bpf_forget(m->usage, id);
		usage_rows_delete_mount(load->changes, row->id);
		if (r && row->writable && r->layer->size_known) {
			/* What was written before the power went was perhaps not counted. */
			r->layer->size_known = r->layer->measured = false;
			layer_rows_update(load->changes, r->layer);
		}
		return 0;
	}
	code = id_map_parse(row->uid_map, row->gid_map, &map, NULL);
	if (code < 0)
		return code;
	mount = mount_list_new(r, id, row->writable, &map);
	if (!mount)
		return -ENOMEM;
	if (r->mount) /* two rows of one record: the older one was being retired */
		r->mount->record = NULL;
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	mount_list_link(locked, mount, r);
	return 0;
}

static int index_mounts(struct manager *m, struct mount_index *ret_index, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	return mount_index_make(locked, false, ret_index) < 0
		       ? error_set(e, -ENOMEM, "out of memory")
		       : 0;
}

static int load_mount_layer(const struct usage_row *row, void *user)
{
	struct recovering *load = user;
	bool upkeep = row->index >= USAGE_ROW_UPKEEP;
	int64_t index = row->index - (upkeep ? USAGE_ROW_UPKEEP : 0);
	struct mount *mount = mount_index_find(&load->mounts, (uint64_t)row->mount_id);
	struct usage_fold_state *state;
	struct usage_totals *folded;
	struct mount_layer *ml;

	if (!mount || index < 0 || (size_t)index >= mount->layer_count)
		return 0;
	ml = &mount->layers[index];
	memcpy(ml->name, row->layer, sizeof(ml->name));
	state = upkeep ? usage_fold_find_state(&ml->upkeep) : &ml->folded;
	if (!state)
		return -ENOMEM;
	folded = &state->folded;
	/* Of cells that an older layout had nothing is left: the new ones start from zero. */
	if (!usage_bpf_is_new(load->m->usage)) {
		memcpy(folded->counters, row->counters, sizeof(folded->counters));
		folded->uses = row->uses;
	}
	folded->first_read_boot_ns = row->first_read_boot_ns;
	folded->last_read_boot_ns = row->last_read_boot_ns;
	folded->last_write_boot_ns = row->last_write_boot_ns;
	state->last_use_boot_ns = row->last_use_boot_ns;
	return 0;
}

static bool is_clone_name(const char *name)
{
	return strlen(name) == RECORD_ID_LENGTH + 3 && strcmp(name + RECORD_ID_LENGTH, "-ro") == 0;
}

/* One mount of the kernel's table: ours, or a stranger that goes. */
static void adopt_or_unmount(struct manager *m, const char *name, struct hashmap *seen)
{
	char id[RECORD_ID_LENGTH + 1];
	cleanup(close_fd) int root = -EBADF;
	struct error e = { 0 };
	struct record *r;

	(void)snprintf(id, sizeof(id), "%.*s", RECORD_ID_LENGTH, name);
	r = record_graph_find(m->graph, id);
	if (r && r->mount && is_clone_name(name)) {
		r->mount->read_only_clone = true;
		return;
	}
	if (r && r->mount && strlen(name) == RECORD_ID_LENGTH) {
		root = openat(m->mounts_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root >= 0 && !usage_bpf_is_registered(m->usage, r->mount->id, root) &&
		    mount_attach_register(m, r->mount, root, &e) < 0)
			manager_report(m, true, "record=%s not counted: %s", r->id, e.text);
		/* A commit may have been cut off. */
		if (r->mount->writable && mount_detach_freeze(m, r, false, &e) < 0)
			manager_report(m, true, "record=%s: %s", r->id, e.text);
		(void)hashmap_insert(seen, r->id, r); /* found a second time: the same record */
		return;
	}
	fail_point("recover.stranger");
	if (overlay_unmount(m->mounts_fd, name, &e) < 0)
		manager_report(m, true, "stranger %s/mnt/%s stays: %s", m->root, name, e.text);
	else
		manager_report(m, false, "stranger %s/mnt/%s unmounted", m->root, name);
}

/* Mounts that were unmounted while no agent ran: those whose superblock has ended get their last
 * fold, and the others linger. */
static void retire_vanished(struct manager *m, const struct hashmap *seen)
{
	manager_lock(m);
	for (struct mount *mount = m->mounts; mount; mount = mount->next) {
		struct record *r = mount->record;

		if (r && hashmap_find(seen, r->id)) {
			manager_report(m, false, "record=%s mount adopted", r->id);
			continue;
		}
		if (r)
			r->mount = NULL;
		(void)usage_bpf_device(m->usage, mount->id, &mount->device);
		mount_lingering_begin(m, mount);
	}
	manager_unlock(m);
	mount_lingering_check(m);
}

static int reconcile_mounts(struct manager *m, struct error *e)
{
	cleanup(mount_table_free) struct mount_table *table = NULL;
	cleanup(free_ptr) char *directory = NULL;
	cleanup(hashmap_free) struct hashmap *seen = hashmap_new();
	size_t prefix;
	int code;

	if (!seen || asprintf(&directory, "%s/mnt", m->root) < 0) {
		directory = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	prefix = strlen(directory) + 1;
	code = mount_table_below(directory, &table, e);
	if (code < 0)
		return code;
	for (size_t i = table->count; i-- > 0;) {
		const char *target = table->entries[i].target;

		if (strlen(target) > prefix && !strchr(target + prefix, '/'))
			adopt_or_unmount(m, target + prefix, seen);
	}
	retire_vanished(m, seen);
	return 0;
}

struct strangers {
	struct mount_index mounts;
	uint64_t *ids;
	size_t count;
};

static int note_stranger(const struct usage_cell *cell, void *user)
{
	struct strangers *s = user;
	uint64_t *ids;

	if (mount_index_find(&s->mounts, cell->owner))
		return 0;
	if (cell->owner & USAGE_LAYER_OWNER)
		return 0; /* whose layer it is, is known by the kernel's map of layers */
	if (s->count > 0 && s->ids[s->count - 1] == cell->owner)
		return 0; /* another layer of the same */
	ids = realloc(s->ids, (s->count + 1) * sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	s->ids = ids;
	s->ids[s->count++] = cell->owner;
	return 0;
}

/* Counters of mounts whose rows were never written. */
static int forget_strangers(struct manager *m, struct error *e)
{
	struct strangers s = { .count = 0 };
	int code = index_mounts(m, &s.mounts, e);

	if (code < 0)
		return code;
	code = usage_read_cells(m->usage, note_stranger, &s, e);
	for (size_t i = 0; i < s.count; i++) {
		usage_bpf_retire(m->usage, s.ids[i]);
		usage_bpf_forget(m->usage, s.ids[i]);
	}
	free(s.ids);
	mount_index_free(&s.mounts);
	return code;
}

/* Empty mount points without a mount; an entry that holds anything is no mount point of ours. */
static void remove_mount_points(struct manager *m)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(m, "mnt");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char id[RECORD_ID_LENGTH + 1];
		const struct record *r;

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(id, sizeof(id), "%.*s", RECORD_ID_LENGTH, entry->d_name);
		r = record_graph_find(m->graph, id);
		if (!r || !r->mount || (is_clone_name(entry->d_name) && !r->mount->read_only_clone))
			(void)unlinkat(m->mounts_fd, entry->d_name, AT_REMOVEDIR); /* busy: stays */
	}
}

/* Housekeeping tries it again. */
static void delete_later(struct manager *m, struct record *r)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	if (r->mount)
		r->mount->unwanted = true;
	else
		locked->deletions_deferred = true;
	manager_unreserve(locked, r);
}

/* The refs of connections ended with the agent. As on release, the records that only they kept are
 * deleted. */
static int end_unheld(struct manager *m, struct error *e)
{
	size_t position = 0;
	struct record *r;

	while ((r = record_graph_next(m->graph, &position))) {
		int code;

		if (!r->is_mutable || !record_delete_is_due(r))
			continue;
		manager_report(m, false, "record=%s was held by a connection: released", r->id);
		manager_lock(m);
		manager_reserve(r);
		manager_unlock(m);
		code = record_delete_reserved(m, &r, 1, e);
		if (code == -EBUSY) {
			manager_report(m, true, "record=%s stays for now: %s", r->id, e->text);
			delete_later(m, r);
			continue;
		}
		if (code < 0)
			return code;
		position = 0; /* the map has changed under the walk */
	}
	return 0;
}

static int load_mount_rows(sqlite3 *db, struct recovering *r, struct error *e)
{
	int code = usage_rows_load_mounts(db, load_mount, r, e);

	if (code == 0)
		code = index_mounts(r->m, &r->mounts, e);
	return code < 0 ? code : usage_rows_load_layers(db, load_mount_layer, r, e);
}

static int load_mounts(struct recovering *r, struct error *e)
{
	int code = load_mount_rows(database_lock_reader(r->m->database), r, e);

	database_unlock_reader(r->m->database);
	return code;
}

/* Nothing breaks, but what was used last looks young until the clock is there again. */
static void report_clock(struct manager *m)
{
	int64_t lag_ns = clock_check_lag(m, NULL);
	char lag[UNITS_TEXT_MAX];

	if (lag_ns)
		manager_report(m, true, CLOCK_CHECK_BEHIND ": is it right?",
			       units_format_duration(lag_ns / NS_PER_S * NS_PER_S, lag));
}

/* A power cut can undo the removal of a link, and not that of its layer. */
static void remove_stray_links(struct manager *m)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(m, "l");
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.' && !record_graph_find_layer(m->graph, entry->d_name) &&
		    !recover_rows_is_quarantined(m, entry->d_name))
			(void)unlinkat(dirfd(d), entry->d_name, 0); /* fsck finds one that stays */
}

static int find_restored(struct manager *m, bool *ret_restored, struct error *e)
{
	cleanup(free_ptr) char *value = NULL;
	sqlite3 *db = database_lock_reader(m->database);
	int code = store_rows_find(db, STORE_ROW_RESTORED, &value, e);

	database_unlock_reader(m->database);
	*ret_restored = value;
	return code;
}

/* The layers that a restored database does not name must be on the disk in quarantine/ before the
 * next start may take them for what a crash has left. */
static int end_restoring(struct manager *m, const struct strays *s, struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	int code = quarantine_sync(m, &s->quarantine, e);

	if (code < 0)
		return code;
	store_rows_delete(&changes, STORE_ROW_RESTORED);
	return change_set_write(&changes, m->database, DATABASE_DURABLE, e);
}

static int settle_layers(struct manager *m, struct error *e)
{
	struct strays strays = { 0 };
	int code = find_restored(m, &strays.restored, e);

	if (code < 0)
		return code;
	code = reconcile_layers(m, &strays, e);
	new_names_resume(m);
	remove_stray_links(m);
	if (code < 0 || !strays.restored)
		return code;
	return end_restoring(m, &strays, e);
}

/* What the database says. */
static int load(struct manager *m, struct change_set *changes, struct error *e)
{
	struct recovering r = { .m = m, .changes = changes };
	int code = recover_rows_load(m, changes, e);

	if (code < 0)
		return code;
	code = load_mounts(&r, e);
	mount_index_free(&r.mounts);
	return code < 0 ? code : fail_point_error("recover.loaded", e);
}

/* Makes the mounts and counters agree with the database. */
static int settle_mounts(struct manager *m, struct change_set *changes, struct error *e)
{
	int code = reconcile_mounts(m, e);

	if (code < 0)
		return code;
	code = forget_strangers(m, e);
	if (code < 0)
		return code;
	code = fail_point_error("recover.mounts", e);
	return code < 0 ? code : change_set_write(changes, m->database, DATABASE_DURABLE, e);
}

static int reconcile(struct manager *m, struct error *e)
{
	cleanup(change_set_free) struct change_set changes = { 0 };
	int code = overlay_staging_clear(m->root_fd, e);

	if (code < 0)
		return code;
	code = load(m, &changes, e);
	if (code < 0)
		return code;
	code = layer_watch_recover(m, &changes, e);
	if (code < 0)
		return code;
	code = settle_mounts(m, &changes, e);
	if (code < 0)
		return code;
	code = settle_layers(m, e);
	if (code < 0)
		return code;
	code = spare_layers_clear(m, e);
	if (code < 0)
		return code;
	code = fail_point_error("recover.layers", e);
	if (code < 0)
		return code;
	m->unplaced_changes_seen = usage_read_unplaced_changes(m->usage);
	counter_fold(m);
	return end_unheld(m, e);
}

int recover(struct manager *m, struct error *e)
{
	int code = reconcile(m, e);

	fail_point("recover.unheld");
	remove_mount_points(m);
	report_clock(m);
	return code;
}
