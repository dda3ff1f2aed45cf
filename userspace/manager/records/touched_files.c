/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/records/touched_files.h"

#include <errno.h>

#include "base/vec.h"

void touched_files_free(struct touched_files *t)
{
	free(t->files);
}

static int add_touched(const struct file_row *row, void *user)
{
	struct touched_files *t = user;
	struct touched_file *files =
		vec_reserve(t->files, &t->capacity, t->count + 1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	t->files = files;
	t->files[t->count++] = (struct touched_file){ .inode = row->inode,
						      .opens = row->opens,
						      .read_bytes = row->read_bytes,
						      .mapped_bytes = row->mapped_bytes,
						      .last_access_ns = row->last_access_ns };
	return 0;
}

int touched_files_load(struct manager *m, const char *layer, struct touched_files *t,
		       struct error *e)
{
	sqlite3 *db = database_lock_reader(m->database);
	int code = file_rows_load_state(db, layer, &t->state, e);

	if (code == 0)
		code = file_rows_load(db, layer, add_touched, t, e);
	database_unlock_reader(m->database);
	return code < 0 ? error_context(e, "files of layer %s", layer) : 0;
}

int touched_files_load_state(struct manager *m, const char *layer,
			     struct file_rows_state *ret_state, struct error *e)
{
	sqlite3 *db = database_lock_reader(m->database);
	int code = file_rows_load_state(db, layer, ret_state, e);

	database_unlock_reader(m->database);
	return code < 0 ? error_context(e, "files of layer %s", layer) : 0;
}

static int by_inode(const void *a, const void *b)
{
	uint64_t x = ((const struct touched_file *)a)->inode,
		 y = ((const struct touched_file *)b)->inode;

	return (x > y) - (x < y);
}

struct touched_file *touched_files_find(const struct touched_files *t, uint64_t inode)
{
	const struct touched_file key = { .inode = inode };

	return t->count ? bsearch(&key, t->files, t->count, sizeof(key), by_inode) : NULL;
}
