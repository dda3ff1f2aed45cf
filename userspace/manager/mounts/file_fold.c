/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/file_fold.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/fail_point.h"
#include "base/vec.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/reader_fold.h"
#include "store/file_rows.h"
#include "store/usage_rows.h"
#include "usage/usage_files.h"
#include "usage/usage_layers.h"

struct watched {
	uint64_t owner;
	char layer[LAYER_NAME_LENGTH + 1];
};

/* The mounts that the database knows: their rows come before their first access, and go after their
 * files have been folded. And the layers that the kernel watches. */
struct names {
	struct mount **mounts; /* sorted by id */
	size_t count, capacity;
	struct watched *watched; /* sorted by owner */
	size_t watched_count, watched_capacity;
};

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		mount_list_free(names->mounts[i]);
	free(names->mounts);
	free(names->watched);
}

DEFINE_CLEANUP_VALUE(struct names, names_free)

static int add_name(const struct mount_row *row, void *user)
{
	struct names *names = user;
	struct mount **mounts = vec_reserve(names->mounts, &names->capacity, names->count + 1,
					    sizeof(struct mount *));

	if (!mounts)
		return -ENOMEM;
	names->mounts = mounts;
	mounts[names->count] = mount_list_new_gone((uint64_t)row->id, row->writable, row->layers);
	return mounts[names->count] ? (names->count++, 0) : -ENOMEM;
}

static int add_watched(const struct usage_root *root, const char *name, uint64_t owner, void *user)
{
	struct names *names = user;
	struct watched *watched = vec_reserve(names->watched, &names->watched_capacity,
					      names->watched_count + 1, sizeof(*watched));

	(void)root;
	if (!watched)
		return -ENOMEM;
	names->watched = watched;
	watched += names->watched_count++;
	watched->owner = owner;
	(void)snprintf(watched->layer, sizeof(watched->layer), "%s", name); /* ours: it fits */
	return 0;
}

static int by_owner(const void *a, const void *b)
{
	uint64_t x = ((const struct watched *)a)->owner, y = ((const struct watched *)b)->owner;

	return (x > y) - (x < y);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = (*(struct mount *const *)a)->id, y = (*(struct mount *const *)b)->id;

	return (x > y) - (x < y);
}

static int load_names(struct manager *m, struct names *names, struct error *e)
{
	sqlite3 *db = database_lock_reader(m->database);
	int code = usage_rows_load_mounts(db, add_name, names, e);

	database_unlock_reader(m->database);
	if (code == 0)
		code = usage_layers_list(m->usage, add_watched, names, e);
	if (names->count)
		qsort(names->mounts, names->count, sizeof(struct mount *), by_id);
	if (names->watched_count)
		qsort(names->watched, names->watched_count, sizeof(*names->watched), by_owner);
	return code;
}

static const char *find_watched(const struct names *names, uint64_t owner)
{
	const struct watched key = { .owner = owner }, *found = NULL;

	if (names->watched_count)
		found = bsearch(&key, names->watched, names->watched_count, sizeof(key), by_owner);
	return found ? found->layer : NULL;
}

/* The layer of a file that a mount or a layer's own cells have counted; NULL: it has ended. */
static const char *find_layer(const struct names *names, const struct usage_file *file)
{
	struct mount key = { .id = file->mount_id }, *wanted = &key, **found = NULL;

	if (file->mount_id & USAGE_LAYER_OWNER)
		return find_watched(names, file->mount_id);
	if (names->count)
		found = bsearch(&wanted, names->mounts, names->count, sizeof(struct mount *),
				by_id);
	return found && file->layer < (*found)->layer_count ? (*found)->layers[file->layer].name
							    : NULL;
}

/* ---- rows ---- */

struct rows {
	const struct names *names;
	struct file_row *rows;
	size_t count, capacity;
	struct reader_fold readers;
};

static void rows_free(struct rows *rows)
{
	reader_fold_free(&rows->readers);
	free(rows->rows);
}

DEFINE_CLEANUP_VALUE(struct rows, rows_free)

static int add_row(struct rows *rows, const char *layer, const struct usage_file *file)
{
	struct file_row *grown =
		vec_reserve(rows->rows, &rows->capacity, rows->count + 1, sizeof(*grown));
	struct file_row *row;

	if (!grown)
		return -ENOMEM;
	rows->rows = grown;
	row = &rows->rows[rows->count++];
	*row = (struct file_row){
		.inode = file->inode,
		.opens = file->opens,
		.read_bytes = file->read_bytes,
		.mapped_bytes = file->mapped_bytes,
		.lost = file->lost,
		.last_access_ns = clock_boot_to_wall_ns(file->last_access_boot_ns),
	};
	memcpy(row->layer, layer, sizeof(row->layer));
	return 0;
}

/* What was lost of layers that are not known may be missing of any. */
static int add_to_all(struct rows *rows, const struct usage_file *file)
{
	const struct names *names = rows->names;

	for (size_t i = 0; i < names->count; i++)
		for (size_t k = 0; k < names->mounts[i]->layer_count; k++)
			if (add_row(rows, names->mounts[i]->layers[k].name, file) < 0)
				return -ENOMEM;
	for (size_t i = 0; i < names->watched_count; i++)
		if (add_row(rows, names->watched[i].layer, file) < 0)
			return -ENOMEM;
	return 0;
}

static int add_file(const struct usage_file *file, void *user)
{
	struct rows *rows = user;
	const char *layer;

	if (file->mount_id == 0)
		return add_to_all(rows, file);
	layer = find_layer(rows->names, file);
	if (!layer)
		return 0;
	return file->is_reader ? reader_fold_add(&rows->readers, layer, file)
			       : add_row(rows, layer, file);
}

/* Sorts them, and makes one of those of the same file, which several mounts have read. */
static void merge(struct rows *rows)
{
	size_t kept = 0;

	if (rows->count == 0)
		return;
	qsort(rows->rows, rows->count, sizeof(*rows->rows), file_rows_compare);
	for (size_t i = 1; i < rows->count; i++) {
		struct file_row *to = &rows->rows[kept];
		const struct file_row *from = &rows->rows[i];

		if (file_rows_compare(to, from) != 0) {
			rows->rows[++kept] = *from;
			continue;
		}
		to->opens += from->opens;
		to->read_bytes += from->read_bytes;
		to->mapped_bytes += from->mapped_bytes;
		to->lost += from->lost;
		if (from->last_access_ns > to->last_access_ns)
			to->last_access_ns = from->last_access_ns;
	}
	rows->count = kept + 1;
}

/* ---- a buffer ---- */

/* So many rows are written at a time: others who write wait for that. */
#define ROWS_AT_ONCE 4096
#define PROGRESS_SIZE 128

/* Before the first file: all layers' names come later. */
#define NO_LAYER "-"

/* "BOOT BUFFER LAYER INODE": the rows of that buffer up to this one have been added, and all of its
 * readers. */
static void format_progress(const struct manager *m, const struct usage_taken *taken,
			    const struct file_row *last, char text[PROGRESS_SIZE])
{
	(void)snprintf(text, PROGRESS_SIZE, "%s %" PRIu32 " %s %" PRIu64, m->boot_id,
		       usage_files_id(taken), last->layer, last->inode);
}

/* The first row that an agent which was interrupted has not added; *ret_begun when it had begun. */
static int find_begin(struct manager *m, const struct usage_taken *taken, const struct rows *rows,
		      size_t *ret_begin, bool *ret_begun, struct error *e)
{
	cleanup(free_ptr) char *noted = NULL;
	struct file_row last = { 0 };
	char same[PROGRESS_SIZE];
	sqlite3 *db = database_lock_reader(m->database);
	int code = file_rows_find_progress(db, &noted, e);

	database_unlock_reader(m->database);
	*ret_begin = 0;
	*ret_begun = false;
	if (code < 0 || !noted ||
	    sscanf(noted, "%*s %*u %6s %" SCNu64, last.layer, &last.inode) != 2)
		return code;
	_Static_assert(LAYER_NAME_LENGTH == 6, "the format above");
	format_progress(m, taken, &last, same);
	*ret_begun = strcmp(noted, same) == 0;
	while (*ret_begun && *ret_begin < rows->count &&
	       file_rows_compare(&rows->rows[*ret_begin], &last) <= 0)
		++*ret_begin;
	return 0;
}

static int write_all(struct manager *m, const struct usage_taken *taken, const struct rows *rows,
		     struct error *e)
{
	const struct file_row none = { .layer = NO_LAYER };
	bool begun = false;
	size_t begin;
	int code = find_begin(m, taken, rows, &begin, &begun, e);

	/* Readers go with the first part, or alone. */
	while (code == 0 && (begin < rows->count || (!begun && rows->readers.count))) {
		char progress[PROGRESS_SIZE];
		struct file_rows part = { .rows = &rows->rows[begin],
					  .count = rows->count - begin,
					  .now_ns = clock_wall_ns(),
					  .progress = progress };

		if (!begun) {
			part.readers = rows->readers.rows;
			part.reader_count = rows->readers.count;
		}
		begun = true;
		if (part.count > ROWS_AT_ONCE)
			part.count = ROWS_AT_ONCE;
		begin += part.count;
		format_progress(m, taken, begin ? &rows->rows[begin - 1] : &none, progress);
		code = file_rows_write(m->database, &part, e);
		fail_point("files.written");
	}
	return code;
}

static int fold_oldest(struct manager *m, const struct names *names, struct error *e)
{
	cleanup(usage_files_free) struct usage_taken *taken = NULL;
	cleanup(rows_free) struct rows rows = { .names = names };
	int code = usage_files_take(m->usage, &taken, e);

	if (code < 0 || !taken)
		return code;
	code = usage_files_read(taken, add_file, &rows, e);
	if (code < 0)
		return code;
	merge(&rows);
	code = reader_fold_finish(&rows.readers, m, e);
	if (code < 0)
		return code;
	code = write_all(m, taken, &rows, e);
	return code < 0 ? code : usage_files_drop(m->usage, taken, e);
}

/* All that was read through mounts that are gone is in the buffer in use, or in those that wait. */
static void note_gone(struct manager *m, bool folded)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	for (struct mount *mount = locked->mounts; mount; mount = mount->next) {
		if (folded)
			mount->files_folded |= mount->files_due;
		else
			mount->files_due = !mount->record && !mount->lingers;
	}
}

/* The names are read after the buffers were put aside: they have all mounts that are in them. */
static int fold_waiting(struct manager *m, size_t at_most, struct error *e)
{
	cleanup(names_free) struct names names = { 0 };
	int code = load_names(m, &names, e);

	for (size_t i = 0; i < at_most && code == 0; i++)
		code = fold_oldest(m, &names, e);
	return code;
}

static int fold_all(struct manager *m, struct error *e)
{
	size_t waiting = usage_files_waiting(m->usage);
	int code = 0;

	/* Those that wait make room for the one in use. */
	if (waiting)
		code = fold_waiting(m, waiting, e);
	if (code == 0)
		code = usage_files_put_aside(m->usage, e);
	fail_point("files.put-aside");
	waiting = code == 0 ? usage_files_waiting(m->usage) : 0;
	return waiting ? fold_waiting(m, waiting, e) : code;
}

static int fold_locked(struct manager *m, struct error *e)
{
	uint64_t begun = atomic_fetch_add(&m->file_folds_begun, 1) + 1;
	int code;

	note_gone(m, false);
	code = fold_all(m, e);
	if (code < 0)
		return error_context(e, "fold the files that were read");
	note_gone(m, true);
	m->file_folds_whole = begun;
	return 0;
}

int file_fold(struct manager *m, struct error *e)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = NULL;

	manager_assert_unlocked(m);
	held = ranked_lock_acquire(&m->file_fold_lock);
	return fold_locked(m, e);
}

int file_fold_for_call(struct manager *m, const atomic_bool *cancelled, struct error *e)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = NULL;
	uint64_t begun_before = atomic_load(&m->file_folds_begun);

	manager_assert_unlocked(m);
	if (is_cancelled(cancelled))
		return 0;
	held = ranked_lock_acquire(&m->file_fold_lock);
	if (m->file_folds_whole > begun_before || is_cancelled(cancelled))
		return 0;
	return fold_locked(m, e);
}
