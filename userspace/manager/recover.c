/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At start: compares the database, the directories and the kernel's mount table, and makes them
 * agree. Discards what was half made or half deleted, drops what has lost its data, adopts the
 * mounts that are still there with their counters, unmounts strangers, and says what it did.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "manager/manager_state.h"
#include "overlay/mount_table.h"
#include "overlay/overlay_mount.h"
#include "overlay/overlay_staging.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"
#include "store/usage_rows.h"

/* A row waits until its parent is in the graph. */
struct pending_record {
	struct record *record;
	char parent[RECORD_ID_LENGTH + 1], twin[RECORD_ID_LENGTH + 1];
	char layer[LAYER_NAME_LENGTH + 1];
	bool drop;
};

struct loading {
	struct manager *m;
	struct pending_record *pending;
	size_t count, capacity;
	struct hashmap *by_id;
	struct change_set changes;
};

static int load_layer(const struct layer *row, void *user)
{
	struct loading *load = user;
	struct layer *layer = record_graph_add_layer(load->m->graph, row->name);

	if (!layer)
		return -ENOMEM;
	*layer = *row;
	return 0;
}

static int load_record(const struct record_row *row, void *user)
{
	struct loading *load = user;
	struct pending_record *p;

	if (strlen(row->id) != RECORD_ID_LENGTH)
		return -EINVAL;
	if (load->count == load->capacity) {
		size_t capacity = load->capacity ? load->capacity * 2 : 1024;

		p = realloc(load->pending, capacity * sizeof(*p));
		if (!p)
			return -ENOMEM;
		load->pending = p;
		load->capacity = capacity;
	}
	p = &load->pending[load->count];
	*p = (struct pending_record){ .record = record_new(row->id, row->description, row->type) };
	if (!p->record)
		return -ENOMEM;
	load->count++;
	(void)snprintf(p->parent, sizeof(p->parent), "%s", row->parent);
	(void)snprintf(p->twin, sizeof(p->twin), "%s", row->twin);
	(void)snprintf(p->layer, sizeof(p->layer), "%s", row->layer);
	p->record->state = (enum record_state)row->state;
	p->record->is_mutable = row->is_mutable != 0;
	p->record->retain = row->retain != 0;
	p->record->pinned = row->pinned != 0;
	p->record->created_ns = row->created_ns;
	p->record->hits = (uint64_t)row->hits;
	p->record->last_hit_ns = row->last_hit_ns;
	p->record->ref_uses = (uint64_t)row->ref_uses;
	p->record->last_ref_use_ns = row->last_ref_use_ns;
	return 0;
}

static int load_label(const char *id, const char *key, const char *value, void *user)
{
	struct loading *load = user;
	struct pending_record *p = hashmap_find(load->by_id, id);

	return p ? record_set_label(p->record, key, value) : 0;
}

static int load_image_ref(const char *id, const char *ref, void *user)
{
	struct loading *load = user;
	struct pending_record *p = hashmap_find(load->by_id, id);

	return p ? record_add_image_ref(p->record, ref) : 0;
}

static int load_lease(const char *name, int64_t created_ns, int64_t expires_ns, void *user)
{
	struct loading *load = user;
	struct lease *l = lease_new(name, created_ns, expires_ns, 0);
	int code = l ? hashmap_insert(load->m->leases, l->name, l) : -ENOMEM;

	if (code < 0)
		lease_free(l);
	return code;
}

static int load_hold(const char *lease, const char *record, unsigned refs, unsigned counting,
		     void *user)
{
	struct loading *load = user;
	struct lease *l = hashmap_find(load->m->leases, lease);
	struct record *r = record_graph_find(load->m->graph, record);

	if (l && r)
		return record_refs_add(r, l, refs, counting);
	lease_rows_set_hold(&load->changes, lease, record, 0, 0);
	return 0;
}

static int load_need(const char *lease, const char *what, void *user)
{
	struct loading *load = user;
	struct lease *l = hashmap_find(load->m->leases, lease);
	char **needs;

	if (!l)
		return 0;
	needs = realloc(l->needs, (l->need_count + 1) * sizeof(*needs));
	if (!needs)
		return -ENOMEM;
	l->needs = needs;
	l->needs[l->need_count] = strdup(what);
	return l->needs[l->need_count++] ? 0 : -ENOMEM;
}

static bool layer_exists(struct manager *m, const char *name)
{
	cleanup(close_fd) int fd = -EBADF;

	return store_files_open_layer(m, name, &fd, NULL) == 0;
}

/* What cannot be used: half made, without data, or without a parent or mutable half that
 * can. Repeated until nothing more falls, since children fall with their parents. */
static bool must_drop(struct loading *load, const struct pending_record *p)
{
	const struct pending_record *parent = hashmap_find(load->by_id, p->parent);
	const struct pending_record *twin = hashmap_find(load->by_id, p->twin);

	if (p->record->state != RECORD_LIVE)
		return true;
	if (!record_graph_find_layer(load->m->graph, p->layer) || !layer_exists(load->m, p->layer))
		return true;
	if (*p->parent && (!parent || parent->drop))
		return true;
	/* A mutable half without its twin is still good data; the other way round it is not. */
	return *p->twin && !p->record->is_mutable && (!twin || twin->drop);
}

static void mark_dropped(struct loading *load)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < load->count; i++) {
			struct pending_record *p = &load->pending[i];

			if (p->drop || !must_drop(load, p))
				continue;
			p->drop = again = true;
			manager_report(load->m, p->record->state == RECORD_LIVE, "record=%s %s",
				       p->record->id,
				       p->record->state == RECORD_CREATING
					       ? "was never finished: discarded"
					       : "has lost its data or its parent: dropped");
		}
	}
}

/* Inserts a record after its ancestors. Chains are at most 500 deep. */
static int insert_pending(struct loading *load, struct pending_record *p)
{
	struct record *parent = NULL;
	struct layer *layer = record_graph_find_layer(load->m->graph, p->layer);
	int code;

	if (record_graph_find(load->m->graph, p->record->id))
		return 0;
	if (*p->parent) {
		code = insert_pending(load, hashmap_find(load->by_id, p->parent));
		if (code < 0)
			return code;
		parent = record_graph_find(load->m->graph, p->parent);
	}
	return record_graph_insert(load->m->graph, p->record, parent, layer);
}

static int build_graph(struct loading *load)
{
	for (size_t i = 0; i < load->count; i++) {
		struct pending_record *p = &load->pending[i];
		int code;

		if (p->drop) {
			record_rows_delete(&load->changes, p->record->id);
			record_free(p->record);
			p->record = NULL;
			continue;
		}
		code = insert_pending(load, p);
		if (code < 0)
			return code;
	}
	for (size_t i = 0; i < load->count; i++) {
		struct pending_record *p = &load->pending[i];
		struct record *twin =
			*p->twin && p->record ? record_graph_find(load->m->graph, p->twin) : NULL;

		if (twin && !p->record->is_mutable)
			record_graph_pair(p->record, twin);
		else if (p->record && *p->twin && !twin)
			record_rows_set_twin(&load->changes, p->record->id, NULL);
	}
	return 0;
}

static int load_records(struct loading *load, sqlite3 *db, struct error *e)
{
	int code = layer_rows_load(db, load_layer, load, e);

	if (code == 0)
		code = record_rows_load(db, load_record, load, e);
	load->by_id = hashmap_new();
	if (code == 0 && !load->by_id)
		code = error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; code == 0 && i < load->count; i++)
		code = hashmap_insert(load->by_id, load->pending[i].record->id, &load->pending[i]);
	if (code == 0)
		code = record_rows_load_labels(db, load_label, load, e);
	if (code == 0)
		code = record_rows_load_image_refs(db, load_image_ref, load, e);
	if (code < 0)
		return code;
	mark_dropped(load);
	code = build_graph(load);
	return code < 0 ? error_set(e, code, "load records: %s", strerror(-code)) : 0;
}

static int load_leases(struct loading *load, sqlite3 *db, struct error *e)
{
	int code = lease_rows_load(db, load_lease, load, e);

	if (code == 0)
		code = lease_rows_load_holds(db, load_hold, load, e);
	if (code == 0)
		code = lease_rows_load_needs(db, load_need, load, e);
	if (code < 0 || hashmap_find(load->m->leases, MANAGER_CLI_LEASE))
		return code;
	code = load_lease(MANAGER_CLI_LEASE, clock_wall_ns(), 0, load);
	if (code < 0)
		return error_set(e, code, "out of memory");
	lease_rows_insert(&load->changes, hashmap_find(load->m->leases, MANAGER_CLI_LEASE));
	return 0;
}

/* Layers that no record owns: their rows go, their directories are found as strangers. */
static void drop_unowned_layers(struct loading *load)
{
	struct layer *layer;
	bool again = true;

	while (again) {
		again = false;
		for (size_t at = 0; (layer = record_graph_next_layer(load->m->graph, &at));) {
			if (layer->owners)
				continue;
			layer_rows_delete(&load->changes, layer->name);
			record_graph_remove_layer(load->m->graph, layer);
			again = true;
			break; /* the map has changed under the walk */
		}
	}
}

static void close_directory(DIR *d)
{
	(void)closedir(d); /* only read from */
}
DEFINE_CLEANUP(DIR *, close_directory)

static DIR *open_directory(struct manager *m, const char *name)
{
	int fd = openat(m->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopendir(fd);
}

static uint64_t layer_number(const char *name)
{
	uint64_t number = 0;

	for (; *name; name++)
		number = number * 32 + (uint64_t)(*name >= 'a' ? *name - 'a' + 10 : *name - '0');
	return number;
}

static int restore_link(struct manager *m, const char *layer, struct error *e)
{
	char link[32], target[64];

	(void)snprintf(link, sizeof(link), "l/%s", layer);
	(void)snprintf(target, sizeof(target), "../layers/%s/fs", layer);
	if (symlinkat(target, m->root_fd, link) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make %s/%s: %s", m->root, link, strerror(errno));
	return 0;
}

/* Directories of layers that the database does not know, and the links of those that it does. */
static int reconcile_layers(struct manager *m, struct error *e)
{
	cleanup(close_directory) DIR *d = open_directory(m, "layers");
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
		if (layer_number(name) >= m->next_layer)
			m->next_layer = layer_number(name) + 1;
		if (record_graph_find_layer(m->graph, name)) {
			code = restore_link(m, name, e);
			continue;
		}
		manager_report(m, false, "layer=%s belongs to no record: discarded", name);
		code = store_files_discard(m, name, e);
	}
	return code;
}

/* Rows of mounts, until it is known which of them are still there. */
static int load_mount(int64_t id, const char *record, bool writable, const char *boot, void *user)
{
	struct loading *load = user;
	struct manager *m = load->m;
	struct record *r = record_graph_find(m->graph, record);
	struct mount *mount;

	if ((uint64_t)id > m->last_mount_id)
		m->last_mount_id = (uint64_t)id;
	if (!r || strcmp(boot, m->boot_id) != 0 || writable != r->is_mutable) {
		usage_bpf_retire(m->usage, (uint64_t)id);
		usage_bpf_forget(m->usage, (uint64_t)id);
		usage_rows_delete_mount(&load->changes, id);
		if (r && writable && r->layer->size_known) {
			/* What was written before the power went was perhaps not counted. */
			r->layer->size_known = r->layer->measured = false;
			layer_rows_update(&load->changes, r->layer);
		}
		return 0;
	}
	mount = mount_list_new(r, (uint64_t)id, writable);
	if (!mount)
		return -ENOMEM;
	if (r->mount) /* two rows of one record: the older one was being retired */
		r->mount->record = NULL;
	mount_list_link(m, mount, r);
	return 0;
}

static int load_mount_layer(const struct usage_row *row, void *user)
{
	struct loading *load = user;
	struct usage_totals *folded;
	struct mount_layer *ml;
	struct mount *mount = load->m->mounts;

	while (mount && (int64_t)mount->id != row->mount_id)
		mount = mount->next;
	if (!mount || row->index < 0 || (size_t)row->index >= mount->layer_count)
		return 0;
	ml = &mount->layers[row->index];
	memcpy(ml->name, row->layer, sizeof(ml->name));
	folded = &ml->folded.folded;
	memcpy(folded->counters, row->counters, sizeof(folded->counters));
	folded->first_access_boot_ns = row->first_boot_ns;
	folded->last_access_boot_ns = row->last_boot_ns;
	ml->folded.last_use_boot_ns = row->last_use_boot_ns;
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
		    mount_ops_register(m, r->mount, root, &e) < 0)
			manager_report(m, true, "record=%s not counted: %s", r->id, e.text);
		(void)hashmap_insert(seen, r->id, r); /* found a second time: the same record */
		return;
	}
	if (overlay_unmount(m->mounts_fd, name, &e) < 0)
		manager_report(m, true, "stranger %s/mnt/%s stays: %s", m->root, name, e.text);
	else
		manager_report(m, false, "stranger %s/mnt/%s unmounted", m->root, name);
}

/* Mounts that have gone while nobody was looking still get their last fold. */
static void retire_vanished(struct manager *m, const struct hashmap *seen)
{
	for (struct mount *mount = m->mounts; mount; mount = mount->next) {
		struct record *r = mount->record;

		if (r && hashmap_find(seen, r->id)) {
			manager_report(m, false, "record=%s mount adopted", r->id);
			continue;
		}
		usage_bpf_retire(m->usage, mount->id);
		if (r)
			r->mount = NULL;
		mount->record = NULL;
	}
}

static int reconcile_mounts(struct manager *m, struct error *e)
{
	cleanup(mount_table_free) struct mount_table *table = NULL;
	cleanup(free_ptr) char *directory = NULL;
	struct hashmap *seen = hashmap_new();
	size_t prefix;
	int code;

	if (!seen || asprintf(&directory, "%s/mnt", m->root) < 0) {
		directory = NULL;
		hashmap_free(seen);
		return error_set(e, -ENOMEM, "out of memory");
	}
	prefix = strlen(directory) + 1;
	code = mount_table_below(directory, &table, e);
	for (size_t i = table ? table->count : 0; code == 0 && i-- > 0;) {
		const char *target = table->entries[i].target;

		if (strlen(target) > prefix && !strchr(target + prefix, '/'))
			adopt_or_unmount(m, target + prefix, seen);
	}
	if (code == 0)
		retire_vanished(m, seen);
	hashmap_free(seen);
	return code;
}

/* Empty mount points without a mount; an entry that holds anything is no mount point of ours. */
static void remove_mount_points(struct manager *m)
{
	cleanup(close_directory) DIR *d = open_directory(m, "mnt");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char id[RECORD_ID_LENGTH + 1];
		const struct record *r;

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(id, sizeof(id), "%.*s", RECORD_ID_LENGTH, entry->d_name);
		r = record_graph_find(m->graph, id);
		if (!r || !r->mount)
			(void)unlinkat(m->mounts_fd, entry->d_name, AT_REMOVEDIR); /* busy: stays */
	}
}

/* The refs of connections ended with the agent: what they alone kept goes, as on release. */
static int end_unheld(struct manager *m, struct error *e)
{
	size_t position = 0;
	struct record *r;

	while ((r = record_graph_next(m->graph, &position))) {
		int code;

		if (!r->is_mutable || !cache_ops_goes(r))
			continue;
		manager_report(m, false, "record=%s was held by a connection: released", r->id);
		manager_reserve(r);
		code = cache_ops_delete(m, &r, 1, e);
		if (code == -EBUSY) {
			manager_report(m, true, "record=%s stays for now: %s", r->id, e->text);
			if (r->mount)
				r->mount->unwanted = true;
			manager_unreserve(m, r);
			continue;
		}
		if (code < 0)
			return code;
		position = 0; /* the map has changed under the walk */
	}
	return 0;
}

static int load_everything(struct loading *load, struct error *e)
{
	struct manager *m = load->m;
	sqlite3 *db = database_lock_reader(m->database);
	int code = load_records(load, db, e);

	if (code == 0)
		code = load_leases(load, db, e);
	if (code == 0)
		code = usage_rows_load_mounts(db, load_mount, load, e);
	if (code == 0)
		code = usage_rows_load_layers(db, load_mount_layer, load, e);
	database_unlock_reader(m->database);
	return code;
}

static void free_loading(struct loading *load)
{
	for (size_t i = 0; i < load->count; i++) {
		struct record *r = load->pending[i].record;

		/* After a failure some never came into the graph. */
		if (r && record_graph_find(load->m->graph, r->id) != r)
			record_free(r);
	}
	change_set_free(&load->changes);
	hashmap_free(load->by_id);
	free(load->pending);
}

int recover(struct manager *m, struct error *e)
{
	struct loading load = { .m = m };
	int code = overlay_staging_clear(m->root_fd, e);

	if (code == 0)
		code = load_everything(&load, e);
	if (code == 0) {
		load.count = 0; /* the records are the graph's now */
		code = reconcile_mounts(m, e);
	}
	if (code == 0) {
		drop_unowned_layers(&load);
		code = change_set_write(&load.changes, m->database, DATABASE_DURABLE, e);
	}
	if (code == 0)
		code = reconcile_layers(m, e);
	m->unplaced_changes_seen = usage_read_unplaced_changes(m->usage);
	if (code == 0) {
		usage_ops_fold(m);
		code = end_unheld(m, e);
	}
	remove_mount_points(m);
	free_loading(&load);
	return code;
}
