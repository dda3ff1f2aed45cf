/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_rows.h"

#include <string.h>

#include "base/text_copy.h"
#include "store/reader_rows.h"
#include "store/statement.h"

void layer_rows_insert(struct change_set *c, const char *name)
{
	change_set_add(c,
		       "INSERT INTO layers(name, allocated, apparent, inodes)"
		       " VALUES(:name, 0, 0, 0)",
		       "t", name);
}

void layer_rows_set_size(struct change_set *c, const char *name, int64_t allocated_bytes,
			 int64_t apparent_bytes, int64_t inodes)
{
	change_set_add(c,
		       "UPDATE layers SET allocated = :allocated, apparent = :apparent,"
		       " inodes = :inodes WHERE name = :name",
		       "iiit", allocated_bytes, apparent_bytes, inodes, name);
}

void layer_rows_set_lazy(struct change_set *c, const char *name, bool lazy)
{
	change_set_add(c, "UPDATE layers SET lazy = :lazy WHERE name = :name", "it", (int64_t)lazy,
		       name);
}

void layer_rows_set_last_container(struct change_set *c, const char *name, int64_t at_ns)
{
	change_set_add(c, "UPDATE layers SET last_container = :at WHERE name = :name", "it", at_ns,
		       name);
}

void layer_rows_update(struct change_set *c, const struct layer *l)
{
	const struct layer_access access = layer_access(l);
	const struct layer_upkeep *upkeep = &access.counts.upkeep;
	const uint64_t *n = access.counts.counters;

	if (l->size_known)
		layer_rows_set_size(c, l->name, l->allocated_bytes, l->apparent_bytes, l->inodes);
	else
		change_set_add(c,
			       "UPDATE layers SET allocated = NULL, apparent = NULL, inodes = NULL"
			       " WHERE name = :name",
			       "t", l->name);
	change_set_add(c,
		       "UPDATE layers SET opens = :opens, execs = :execs, reads = :reads,"
		       " read_bytes = :read_bytes, writes = :writes, written_bytes = :written,"
		       " mmaps = :mmaps, stats = :stats, readlinks = :readlinks,"
		       " copy_ups = :copy_ups, copied_up_bytes = :copied,"
		       " upper_changes = :changes, read_opens = :read_opens,"
		       " mapped_bytes = :mapped_bytes, uses = :uses,"
		       " first_access = :first, last_access = :last, last_write = :last_write,"
		       " upkeep_opens = :upkeep_opens, upkeep_reads = :upkeep_reads,"
		       " upkeep_read_bytes = :upkeep_bytes, last_upkeep = :last_upkeep"
		       " WHERE name = :name",
		       "iiiiiiiiiiiiiiiiiiiiiit", (int64_t)n[0], (int64_t)n[1], (int64_t)n[2],
		       (int64_t)n[3], (int64_t)n[4], (int64_t)n[5], (int64_t)n[6], (int64_t)n[7],
		       (int64_t)n[8], (int64_t)n[9], (int64_t)n[10], (int64_t)n[11], (int64_t)n[12],
		       (int64_t)n[13], (int64_t)l->access.uses, l->access.first_ns,
		       l->access.last_ns, l->access.last_write_ns, (int64_t)upkeep->opens,
		       (int64_t)upkeep->reads, (int64_t)upkeep->read_bytes, upkeep->last_ns,
		       l->name);
}

void layer_rows_forget_files(struct change_set *c, const char *name)
{
	change_set_add(c, "DELETE FROM layer_files WHERE layer = :name", "t", name);
	change_set_add(c, "DELETE FROM layer_file_states WHERE layer = :name", "t", name);
}

void layer_rows_delete(struct change_set *c, const char *name)
{
	layer_rows_forget_files(c, name);
	reader_rows_forget(c, name);
	change_set_add(c, "DELETE FROM watch_layers WHERE layer = :name", "t", name);
	change_set_add(c, "DELETE FROM layers WHERE name = :name", "t", name);
}

struct visit {
	int (*row)(const struct layer *layer, void *user);
	void *user;
};

/* False: all are 0. */
static bool read_counts(sqlite3_stmt *row, struct layer_counts *ret_counts)
{
	struct layer_counts n = {
		.upkeep = { .opens = (uint64_t)sqlite3_column_int64(row, 9 + LAYER_COUNTERS),
			    .reads = (uint64_t)sqlite3_column_int64(row, 10 + LAYER_COUNTERS),
			    .read_bytes = (uint64_t)sqlite3_column_int64(row, 11 + LAYER_COUNTERS),
			    .last_ns = sqlite3_column_int64(row, 12 + LAYER_COUNTERS) },
	};
	bool any = n.upkeep.opens || n.upkeep.reads || n.upkeep.read_bytes || n.upkeep.last_ns;

	for (int i = 0; i < LAYER_COUNTERS; i++) {
		n.counters[i] = (uint64_t)sqlite3_column_int64(row, 4 + i);
		any |= n.counters[i] != 0;
	}
	*ret_counts = n;
	return any;
}

static int visit_layer(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	bool measured = sqlite3_column_type(row, 1) != SQLITE_NULL;
	struct layer l = { .size_known = measured, .measured = measured };
	struct layer_counts counts;
	int code;

	text_copy(l.name, sizeof(l.name), statement_text(row, 0)); /* ours: it fits */
	l.allocated_bytes = sqlite3_column_int64(row, 1);
	l.apparent_bytes = sqlite3_column_int64(row, 2);
	l.inodes = sqlite3_column_int64(row, 3);
	if (read_counts(row, &counts))
		l.counts = &counts;
	l.access.uses = (uint64_t)sqlite3_column_int64(row, 4 + LAYER_COUNTERS);
	l.access.first_ns = sqlite3_column_int64(row, 5 + LAYER_COUNTERS);
	l.access.last_ns = sqlite3_column_int64(row, 6 + LAYER_COUNTERS);
	l.access.last_write_ns = sqlite3_column_int64(row, 7 + LAYER_COUNTERS);
	l.lazy = sqlite3_column_int64(row, 8 + LAYER_COUNTERS) != 0;
	l.last_container_ns = sqlite3_column_int64(row, 13 + LAYER_COUNTERS);
	code = v->row(&l, v->user);
	return code < 0 ? error_set(e, code, "layer %s: %s", l.name, strerror(-code)) : 0;
}

int layer_rows_load(sqlite3 *db, int (*visit)(const struct layer *layer, void *user), void *user,
		    struct error *e)
{
	struct visit v = { .row = visit, .user = user };

	return statement_query(
		db, visit_layer, &v, e,
		"SELECT name, allocated, apparent, inodes, opens, execs, reads,"
		" read_bytes, writes, written_bytes, mmaps, stats, readlinks,"
		" copy_ups, copied_up_bytes, upper_changes, read_opens, mapped_bytes,"
		" uses,"
		" first_access, last_access, last_write, lazy, upkeep_opens,"
		" upkeep_reads, upkeep_read_bytes, last_upkeep, last_container FROM layers",
		"");
}
