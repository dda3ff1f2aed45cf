/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files by inode: what mounts that are gone have seen is in the database, what live ones see is in
 * the kernel. An inode number that the file system gives to another file carries the old counts
 * along.
 */
#include "manager/records/touched_files.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "manager/state/watch_table.h"
#include "manager/state/manager_state.h"
#include "store/usage_rows.h"

void touched_files_free(struct touched_files *t)
{
	free(t->files);
}

void touched_files_free_live(struct live_files *live)
{
	free(live->files);
}

static int add_touched(struct touched_files *t, const struct touched_file *file)
{
	struct touched_file *files =
		vec_reserve(t->files, &t->capacity, t->count + 1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	t->files = files;
	t->files[t->count++] = *file;
	return 0;
}

static int add_stored(uint64_t inode, uint64_t opens, uint64_t read_bytes, int64_t last_access_ns,
		      void *user)
{
	struct touched_file file = { .inode = inode,
				     .opens = opens,
				     .read_bytes = read_bytes,
				     .last_access_ns = last_access_ns };

	return add_touched(user, &file);
}

/* With the lock: the layer of a file that a mount or a layer's own cells have counted; NULL: it is
 * not known any more. */
static const char *find_layer(const struct manager *m, const struct usage_file *file)
{
	const struct layer_watch *watch;
	const struct mount *mount = m->mounts;

	if (file->mount_id & USAGE_LAYER_OWNER) {
		watch = watch_table_find(m, file->mount_id);
		return watch ? watch->layer : NULL;
	}
	while (mount && mount->id != file->mount_id)
		mount = mount->next;
	return mount && file->layer < mount->layer_count ? mount->layers[file->layer].name : NULL;
}

static int add_live(const struct usage_file *file, void *user)
{
	struct live_files *live = user;
	const char *layer = usage_file_was_read(file) ? find_layer(live->m, file) : NULL;
	struct live_file *files;

	if (!layer)
		return 0;
	files = vec_reserve(live->files, &live->capacity, live->count + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	live->files = files;
	live->files[live->count] = (struct live_file){
		.file = { .inode = file->inode,
			  .opens = file->opens,
			  .read_bytes = file->read_bytes,
			  .last_access_ns = clock_boot_to_wall_ns(file->last_access_boot_ns) }
	};
	memcpy(live->files[live->count++].layer, layer, LAYER_NAME_LENGTH + 1);
	return 0;
}

static int by_layer(const void *a, const void *b)
{
	return strcmp(((const struct live_file *)a)->layer, ((const struct live_file *)b)->layer);
}

/* With the fold lock, so that no mount moves its files to the database meanwhile. */
int touched_files_read_live(struct manager *m, struct live_files *live, struct error *e)
{
	int code;

	*live = (struct live_files){ .m = m };
	manager_lock(m); /* reading maps does not block */
	code = usage_read_files(m->usage, add_live, live, e);
	manager_unlock(m);
	if (code == 0 && live->count)
		qsort(live->files, live->count, sizeof(*live->files), by_layer);
	return code;
}

int touched_files_by_inode(const void *a, const void *b)
{
	uint64_t x = ((const struct touched_file *)a)->inode,
		 y = ((const struct touched_file *)b)->inode;

	return (x > y) - (x < y);
}

static void merge_same_inodes(struct touched_files *t)
{
	size_t kept = 0;

	if (t->count == 0)
		return;
	qsort(t->files, t->count, sizeof(*t->files), touched_files_by_inode);
	for (size_t i = 1; i < t->count; i++) {
		struct touched_file *to = &t->files[kept];
		const struct touched_file *from = &t->files[i];

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

/* The place of the first live file of the layer. */
static size_t find_first(const struct live_files *live, const char *layer)
{
	size_t low = 0, high = live->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(live->files[middle].layer, layer) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int add_live_of_layer(const struct live_files *live, const char *layer,
			     struct touched_files *t)
{
	for (size_t i = find_first(live, layer);
	     i < live->count && strcmp(live->files[i].layer, layer) == 0; i++)
		if (add_touched(t, &live->files[i].file) < 0)
			return -ENOMEM;
	return 0;
}

int touched_files_gather(struct manager *m, const char *layer, const struct live_files *live,
			 struct touched_files *t, struct error *e)
{
	sqlite3 *db = database_lock_reader(m->database);
	int code = usage_rows_load_files(db, layer, add_stored, t, e);

	database_unlock_reader(m->database);
	if (code == 0)
		code = add_live_of_layer(live, layer, t);
	if (code < 0)
		return error_set(e, code, "files of layer %s: %s", layer, strerror(-code));
	merge_same_inodes(t);
	return 0;
}
