/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file_rows.h"

#include <inttypes.h>
#include <string.h>

#include "store/statement.h"
#include "store/store_rows.h"

#define PROGRESS_KEY "files_taken"

static int read_number(sqlite3_stmt *row, void *user, struct error *e)
{
	(void)e;
	*(int64_t *)user = sqlite3_column_int64(row, 0);
	return 0;
}

static int read_state(sqlite3_stmt *row, void *user, struct error *e)
{
	struct file_rows_state *state = user;

	(void)e;
	state->files = (uint64_t)sqlite3_column_int64(row, 0);
	state->lost = (uint64_t)sqlite3_column_int64(row, 1);
	state->complete_since_ns = sqlite3_column_int64(row, 2);
	return 0;
}

int file_rows_load_state(sqlite3 *db, const char *layer, struct file_rows_state *ret_state,
			 struct error *e)
{
	*ret_state = (struct file_rows_state){ 0 };
	return statement_query(db, read_state, ret_state, e,
			       "SELECT files, lost, complete_since FROM layer_file_states"
			       " WHERE layer = :layer",
			       "t", layer);
}

/* ---- write ---- */

int file_rows_compare(const void *a, const void *b)
{
	const struct file_row *x = a, *y = b;
	int order = strcmp(x->layer, y->layer);

	return order ? order : (x->inode > y->inode) - (x->inode < y->inode);
}

static int add_file(sqlite3 *db, const struct file_row *row, bool room, bool *ret_new,
		    struct error *e)
{
	int code = statement_run(db, e,
				 "UPDATE layer_files SET opens = opens + :opens,"
				 " read_bytes = read_bytes + :read_bytes,"
				 " mapped_bytes = mapped_bytes + :mapped_bytes,"
				 " last_access = max(last_access, :last)"
				 " WHERE layer = :layer AND inode = :inode",
				 "iiiiti", (int64_t)row->opens, (int64_t)row->read_bytes,
				 (int64_t)row->mapped_bytes, row->last_access_ns, row->layer,
				 (int64_t)row->inode);

	*ret_new = code == 0 && sqlite3_changes(db) == 0 &&
		   (row->opens || row->read_bytes || row->mapped_bytes);
	if (!*ret_new || !room)
		return code;
	return statement_run(
		db, e,
		"INSERT INTO layer_files(layer, inode, opens, read_bytes, mapped_bytes,"
		" last_access)"
		" VALUES(:layer, :inode, :opens, :read_bytes, :mapped_bytes, :last)",
		"tiiiii", row->layer, (int64_t)row->inode, (int64_t)row->opens,
		(int64_t)row->read_bytes, (int64_t)row->mapped_bytes, row->last_access_ns);
}

static int add_files(sqlite3 *db, const struct file_row *rows, size_t count, int64_t *in_all,
		     struct file_rows_state *state, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		bool room = state->files < (uint64_t)FILE_ROWS_PER_LAYER &&
			    *in_all < FILE_ROWS_IN_ALL;
		bool is_new = false;
		int code = rows[i].inode ? add_file(db, &rows[i], room, &is_new, e) : 0;

		if (code < 0)
			return code;
		state->lost += rows[i].lost + (is_new && !room);
		state->files += is_new && room;
		*in_all += is_new && room;
	}
	return 0;
}

/* Of one layer. */
static int add_group(sqlite3 *db, const struct file_row *rows, size_t count, int64_t now_ns,
		     int64_t *in_all, struct error *e)
{
	const char *layer = rows[0].layer;
	struct file_rows_state before, state;
	int64_t exists = 0;
	int code = statement_query(db, read_number, &exists, e,
				   "SELECT 1 FROM layers WHERE name = :layer", "t", layer);

	if (code < 0 || !exists)
		return code;
	code = file_rows_load_state(db, layer, &before, e);
	if (code < 0)
		return code;
	state = before;
	code = add_files(db, rows, count, in_all, &state, e);
	if (code < 0)
		return code;
	if (state.lost > before.lost)
		state.complete_since_ns = now_ns;
	else if (state.files == before.files)
		return 0;
	return statement_run(db, e,
			     "INSERT OR REPLACE INTO layer_file_states"
			     " VALUES(:layer, :files, :lost, :since)",
			     "tiii", layer, (int64_t)state.files, (int64_t)state.lost,
			     state.complete_since_ns);
}

static int write_rows(sqlite3 *db, void *arg, struct error *e)
{
	const struct file_rows *w = arg;
	int64_t in_all = 0;
	size_t first = 0;
	int code = statement_query(db, read_number, &in_all, e,
				   "SELECT coalesce(sum(files), 0) FROM layer_file_states", "");

	while (code == 0 && first < w->count) {
		size_t end = first + 1;

		while (end < w->count && strcmp(w->rows[end].layer, w->rows[first].layer) == 0)
			end++;
		code = add_group(db, &w->rows[first], end - first, w->now_ns, &in_all, e);
		first = end;
	}
	if (code == 0)
		code = reader_rows_add(db, w->readers, w->reader_count, e);
	if (code < 0)
		return code;
	return statement_run(db, e, "INSERT OR REPLACE INTO store(key, value) VALUES(:key, :value)",
			     "tt", PROGRESS_KEY, w->progress);
}

int file_rows_write(struct database *d, struct file_rows *rows, struct error *e)
{
	return database_write(d, DATABASE_RELAXED, write_rows, rows, e);
}

void file_rows_mark_incomplete(struct change_set *c, const char *layer, int64_t now_ns)
{
	change_set_add(c,
		       "INSERT INTO layer_file_states(layer, files, lost, complete_since)"
		       " SELECT :layer, 0, 0, :now"
		       " WHERE EXISTS (SELECT 1 FROM layers WHERE name = :layer)"
		       " ON CONFLICT DO UPDATE SET complete_since = excluded.complete_since",
		       "ti", layer, now_ns);
}

/* ---- read ---- */

int file_rows_find_progress(sqlite3 *db, char **ret_progress, struct error *e)
{
	return store_rows_find(db, PROGRESS_KEY, ret_progress, e);
}

struct visit {
	int (*file)(const struct file_row *row, void *user);
	void *user;
};

static int visit_file(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct file_row file = { .inode = (uint64_t)sqlite3_column_int64(row, 0),
				 .opens = (uint64_t)sqlite3_column_int64(row, 1),
				 .read_bytes = (uint64_t)sqlite3_column_int64(row, 2),
				 .last_access_ns = sqlite3_column_int64(row, 3),
				 .mapped_bytes = (uint64_t)sqlite3_column_int64(row, 4) };
	int code = v->file(&file, v->user);

	return code < 0 ? error_set(e, code, "files: %s", strerror(-code)) : 0;
}

int file_rows_load(sqlite3 *db, const char *layer,
		   int (*visit)(const struct file_row *row, void *user), void *user,
		   struct error *e)
{
	struct visit v = { .file = visit, .user = user };

	return statement_query(db, visit_file, &v, e,
			       "SELECT inode, opens, read_bytes, last_access, mapped_bytes"
			       " FROM layer_files"
			       " WHERE layer = :layer ORDER BY inode",
			       "t", layer);
}
