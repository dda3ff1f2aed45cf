/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was accessed, by record and by file. Files are known by inode: what mounts that are gone
 * have seen is in the database, what live ones see is in the kernel; names come from a walk of the
 * layer. An inode number that the file system gives to another file carries the old counts along.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "manager/manager_state.h"
#include "store/usage_rows.h"

struct touched {
	uint64_t inode, opens, read_bytes;
	int64_t last_access_ns;
	bool found; /* in the layer */
};

/* The files of one layer that were touched, sorted by inode, each once. */
struct touched_files {
	struct touched *files;
	size_t count, capacity;
};

static int add_touched(struct touched_files *t, const struct touched *file)
{
	if (t->count == t->capacity) {
		size_t capacity = t->capacity ? t->capacity * 2 : 64;
		struct touched *files = realloc(t->files, capacity * sizeof(*files));

		if (!files)
			return -ENOMEM;
		t->files = files;
		t->capacity = capacity;
	}
	t->files[t->count++] = *file;
	return 0;
}

static int add_stored(uint64_t inode, uint64_t opens, uint64_t read_bytes, int64_t last_access_ns,
		      void *user)
{
	struct touched file = { .inode = inode,
				.opens = opens,
				.read_bytes = read_bytes,
				.last_access_ns = last_access_ns };

	return add_touched(user, &file);
}

/* The kernel's files with the layers that they are in: mounts may go while they are read. */
struct live_file {
	char layer[LAYER_NAME_LENGTH + 1];
	struct touched file;
};

struct live_files {
	struct manager *m;
	struct live_file *files;
	size_t count, capacity;
};

static int add_live(const struct usage_file *file, void *user)
{
	struct live_files *live = user;
	struct mount *mount = live->m->mounts;

	while (mount && mount->id != file->mount_id)
		mount = mount->next;
	if (!mount || file->layer >= mount->layer_count || !usage_file_was_read(file))
		return 0;
	if (live->count == live->capacity) {
		size_t capacity = live->capacity ? live->capacity * 2 : 256;
		struct live_file *files = realloc(live->files, capacity * sizeof(*files));

		if (!files)
			return -ENOMEM;
		live->files = files;
		live->capacity = capacity;
	}
	live->files[live->count] = (struct live_file){
		.file = { .inode = file->inode,
			  .opens = file->opens,
			  .read_bytes = file->read_bytes,
			  .last_access_ns = clock_boot_to_wall_ns(file->last_access_boot_ns) }
	};
	memcpy(live->files[live->count++].layer, mount->layers[file->layer].name,
	       LAYER_NAME_LENGTH + 1);
	return 0;
}

static int by_layer(const void *a, const void *b)
{
	return strcmp(((const struct live_file *)a)->layer, ((const struct live_file *)b)->layer);
}

/* With the fold lock, so that no mount moves its files to the database meanwhile. */
static int read_live(struct manager *m, struct live_files *live, struct error *e)
{
	int code;

	*live = (struct live_files){ .m = m };
	pthread_mutex_lock(&m->lock); /* reading maps does not block */
	code = usage_read_files(m->usage, add_live, live, e);
	pthread_mutex_unlock(&m->lock);
	if (code == 0 && live->count)
		qsort(live->files, live->count, sizeof(*live->files), by_layer);
	return code;
}

static int by_inode(const void *a, const void *b)
{
	uint64_t x = ((const struct touched *)a)->inode, y = ((const struct touched *)b)->inode;

	return (x > y) - (x < y);
}

static void merge_same_inodes(struct touched_files *t)
{
	size_t kept = 0;

	if (t->count == 0)
		return;
	qsort(t->files, t->count, sizeof(*t->files), by_inode);
	for (size_t i = 1; i < t->count; i++) {
		struct touched *to = &t->files[kept];
		const struct touched *from = &t->files[i];

		if (from->inode != to->inode) {
			t->files[++kept] = *from;
			continue;
		}
		to->opens += from->opens;
		to->read_bytes += from->read_bytes;
		if (from->last_access_ns > to->last_access_ns)
			to->last_access_ns = from->last_access_ns;
	}
	t->count = kept + 1;
}

static int touched_files_of(struct manager *m, const char *layer, const struct live_files *live,
			    struct touched_files *t, struct error *e)
{
	size_t low = 0, high = live->count;
	sqlite3 *db;
	int code;

	db = database_lock_reader(m->database);
	code = usage_rows_load_files(db, layer, add_stored, t, e);
	database_unlock_reader(m->database);
	while (low < high) { /* the first live file of this layer */
		size_t middle = (low + high) / 2;

		if (strcmp(live->files[middle].layer, layer) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; code == 0 && low < live->count && strcmp(live->files[low].layer, layer) == 0; low++)
		code = add_touched(t, &live->files[low].file);
	if (code < 0)
		return error_set(e, code, "files of layer %s: %s", layer, strerror(-code));
	merge_same_inodes(t);
	return 0;
}

void manager_stats_free(struct manager_stats_view *stats, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(stats[i].description);
		free(stats[i].mountpoint);
		free(stats[i].snapshot_key);
	}
	free(stats);
}

static int count_files(struct manager *m, struct manager_stats_view *stats, char (*layers)[8],
		       size_t count, const struct live_files *live, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		struct touched_files t = { 0 };
		int code = touched_files_of(m, layers[i], live, &t, e);

		free(t.files);
		if (code < 0)
			return code;
		stats[i].files_touched = t.count;
	}
	return 0;
}

/* With the lock. */
static int record_stats(const struct manager *m, const struct record *r,
			struct manager_stats_view *s)
{
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

static int by_age(const void *a, const void *b)
{
	const struct record *x = *(struct record *const *)a, *y = *(struct record *const *)b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* With the lock. */
static int select_records(struct manager *m, const char *const *ids, size_t id_count,
			  struct record **records, size_t *ret_count, struct error *e)
{
	size_t count = 0, position = 0;
	struct record *r;

	for (size_t i = 0; i < id_count; i++) {
		int code = record_graph_resolve(m->graph, ids[i], &r, e);

		if (code < 0)
			return code;
		records[count++] = r;
	}
	while (id_count == 0 && (r = record_graph_next(m->graph, &position)))
		if (record_is_listed(r))
			records[count++] = r;
	if (id_count == 0)
		qsort(records, count, sizeof(struct record *), by_age);
	*ret_count = count;
	return 0;
}

/* One row of a mount for each of its layers, from the upper down. */
static int mount_stats(const struct manager *m, const struct record *r,
		       struct manager_stats_view *stats, char (*layers)[8], size_t *count)
{
	const struct mount *mount = r->mount;
	const struct record *owner = r;

	for (size_t i = mount->writable ? 0 : 1; i < mount->layer_count; i++) {
		const struct usage_totals *folded = &mount->layers[i].folded.folded;
		struct manager_stats_view *s = &stats[*count];

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
			 bool by_mount, struct manager_stats_view **ret_stats,
			 char (**ret_layers)[8], size_t *ret_count, struct error *e)
{
	size_t room = 1, count = 0;
	int code = 0;

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

int manager_stats(struct manager *m, const char *const *ids, size_t id_count, bool by_mount,
		  struct manager_stats_view **ret_stats, size_t *ret_count, struct error *e)
{
	cleanup(free_ptr) struct record **records = NULL;
	struct manager_stats_view *stats = NULL;
	char(*layers)[8] = NULL;
	struct live_files live = { 0 };
	size_t selected = 0, count = 0;
	int code;

	usage_ops_fold(m);
	pthread_mutex_lock(&m->fold_lock);
	pthread_mutex_lock(&m->lock);
	records = calloc(record_graph_count(m->graph) + id_count + 1, sizeof(struct record *));
	code = records ? select_records(m, ids, id_count, records, &selected, e)
		       : error_set(e, -ENOMEM, "out of memory");
	if (code == 0)
		code = collect_stats(m, records, selected, by_mount, &stats, &layers, &count, e);
	pthread_mutex_unlock(&m->lock);
	if (code == 0)
		code = read_live(m, &live, e);
	if (code == 0)
		code = count_files(m, stats, layers, count, &live, e);
	pthread_mutex_unlock(&m->fold_lock);
	free(live.files);
	free(layers);
	if (code < 0) {
		manager_stats_free(stats, count);
		return code;
	}
	*ret_stats = stats;
	*ret_count = count;
	return 0;
}

struct file_list {
	struct manager_file_view *files;
	size_t count, capacity;
};

static int add_file(struct file_list *list, struct manager_file_view *file)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 256;
		struct manager_file_view *files = realloc(list->files, capacity * sizeof(*files));

		if (!files)
			return -ENOMEM;
		list->files = files;
		list->capacity = capacity;
	}
	list->files[list->count++] = *file;
	return 0;
}

struct layer_walk {
	struct touched_files *touched;
	struct file_list *list;
	bool never_read;
	const atomic_bool *cancelled;
};

static int look_at_file(struct layer_walk *w, const char *path, const struct stat *st)
{
	struct touched key = { .inode = st->st_ino };
	struct touched *seen = NULL;
	struct manager_file_view file = { .size_bytes = st->st_size, .inode = st->st_ino };

	if (w->touched->count)
		seen = bsearch(&key, w->touched->files, w->touched->count, sizeof(key), by_inode);
	if (seen)
		seen->found = true;
	if (w->never_read == (seen != NULL))
		return 0;
	if (seen) {
		file.opens = seen->opens;
		file.read_bytes = seen->read_bytes;
		file.last_access_ns = seen->last_access_ns;
	}
	file.path = strdup(path);
	if (!file.path || add_file(w->list, &file) < 0) {
		free(file.path);
		return -ENOMEM;
	}
	return 0;
}

/* Each directory is opened from the layer's root by its whole path, so that depth costs no file
 * descriptors; `pending` is a list of directories still to be read, each ended by NUL. */
static int walk_directory(struct layer_walk *w, int root, const char *path, struct strbuf *pending)
{
	cleanup(close_directory) DIR *d = NULL;
	int fd = openat(root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(d))) {
		cleanup(free_ptr) char *below = NULL;
		struct stat st;
		int code = 0;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* vanished */
		if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", entry->d_name) < 0) {
			below = NULL;
			return -ENOMEM;
		}
		if (S_ISDIR(st.st_mode))
			strbuf_append_bytes(pending, below, strlen(below) + 1);
		else if (S_ISREG(st.st_mode))
			code = look_at_file(w, below, &st);
		if (code < 0 || strbuf_failed(pending))
			return -ENOMEM;
	}
	return 0;
}

static int walk_layer(struct layer_walk *w, int root)
{
	cleanup(strbuf_free) struct strbuf now = { 0 }, next = { 0 };
	int code = 0;

	strbuf_append_bytes(&now, "", 1);
	while (now.length > 0 && code == 0) {
		for (size_t at = 0; at < now.length && code == 0; at += strlen(now.text + at) + 1)
			code = w->cancelled && atomic_load(w->cancelled)
				       ? -ECANCELED
				       : walk_directory(w, root, now.text + at, &next);
		strbuf_free(&now);
		now = next;
		next = (struct strbuf){ 0 };
	}
	return code;
}

static int by_path(const void *a, const void *b)
{
	const struct manager_file_view *x = a, *y = b;

	if (!x->path || !y->path)
		return !x->path - !y->path;
	return strcmp(x->path, y->path);
}

static int by_opens(const void *a, const void *b)
{
	const struct manager_file_view *x = a, *y = b;

	if (x->opens != y->opens)
		return x->opens > y->opens ? -1 : 1;
	if (x->read_bytes != y->read_bytes)
		return x->read_bytes > y->read_bytes ? -1 : 1;
	return by_path(a, b);
}

static int by_size(const void *a, const void *b)
{
	const struct manager_file_view *x = a, *y = b;

	if (x->size_bytes != y->size_bytes)
		return x->size_bytes > y->size_bytes ? -1 : 1;
	return by_path(a, b);
}

void manager_files_free(struct manager_file_view *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(files[i].path);
	free(files);
}

static int list_files(struct manager *m, const char *layer, const struct manager_files_query *query,
		      struct touched_files *touched, struct file_list *list, struct error *e)
{
	struct layer_walk w = { .touched = touched,
				.list = list,
				.never_read = query->which == MANAGER_FILES_NEVER_READ,
				.cancelled = query->cancelled };
	cleanup(close_fd) int root = -EBADF;
	int code = store_files_open_layer(m, layer, &root, e);

	if (code < 0)
		return code;
	code = walk_layer(&w, root);
	for (size_t i = 0; code == 0 && !w.never_read && i < touched->count; i++) {
		const struct touched *t = &touched->files[i];
		struct manager_file_view gone = { .inode = t->inode,
						  .opens = t->opens,
						  .read_bytes = t->read_bytes,
						  .last_access_ns = t->last_access_ns };

		if (!t->found)
			code = add_file(list, &gone);
	}
	return code < 0 ? error_set(e, code, "walk layer %s: %s", layer, strerror(-code)) : 0;
}

int manager_files(struct manager *m, const struct manager_files_query *query,
		  struct manager_file_view **ret_files, size_t *ret_count, struct error *e)
{
	static int (*const orders[])(const void *a, const void *b) = {
		[MANAGER_FILES_TOUCHED] = by_path,
		[MANAGER_FILES_HOT] = by_opens,
		[MANAGER_FILES_NEVER_READ] = by_size,
	};
	char layer[LAYER_NAME_LENGTH + 1];
	struct touched_files touched = { 0 };
	struct live_files live = { 0 };
	struct file_list list = { 0 };
	struct record *r;
	int code;

	usage_ops_fold(m);
	pthread_mutex_lock(&m->lock);
	code = record_graph_resolve(m->graph, query->id, &r, e);
	if (code == 0 && r->layer->lazy)
		code = error_set(e, -EINVAL,
				 "record %s is lazy: it has no files yet (varve extract %.12s)",
				 r->id, r->id);
	if (code == 0)
		memcpy(layer, r->layer->name, sizeof(layer));
	pthread_mutex_unlock(&m->lock);
	if (code < 0)
		return code;

	pthread_mutex_lock(&m->fold_lock);
	code = read_live(m, &live, e);
	if (code == 0)
		code = touched_files_of(m, layer, &live, &touched, e);
	pthread_mutex_unlock(&m->fold_lock);
	if (code == 0)
		code = list_files(m, layer, query, &touched, &list, e);
	free(live.files);
	free(touched.files);
	if (code < 0) {
		manager_files_free(list.files, list.count);
		return code;
	}
	if (list.count)
		qsort(list.files, list.count, sizeof(*list.files), orders[query->which]);
	while (query->limit && list.count > query->limit)
		free(list.files[--list.count].path);
	*ret_files = list.files;
	*ret_count = list.count;
	return 0;
}
