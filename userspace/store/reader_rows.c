/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reader_rows.h"

#include <string.h>

#include "store/statement.h"

int reader_rows_compare(const void *a, const void *b)
{
	const struct reader_row *x = a, *y = b;
	int order = strcmp(x->layer, y->layer);

	if (order == 0)
		order = strcmp(x->reader, y->reader);
	return order ? order : x->upkeep - y->upkeep;
}

static int read_number(sqlite3_stmt *row, void *user, struct error *e)
{
	(void)e;
	*(int64_t *)user = sqlite3_column_int64(row, 0);
	return 0;
}

static int add_row(sqlite3 *db, const struct reader_row *row, const char *reader, struct error *e)
{
	return statement_run(
		db, e,
		"INSERT INTO layer_readers(layer, reader, upkeep, opens, reads, read_bytes, first,"
		" last) VALUES(:layer, :reader, :upkeep, :opens, :reads, :bytes, :first, :last)"
		" ON CONFLICT DO UPDATE SET opens = opens + excluded.opens,"
		" reads = reads + excluded.reads, read_bytes = read_bytes + excluded.read_bytes,"
		" first = min(first, excluded.first), last = max(last, excluded.last)",
		"ttiiiiii", row->layer, reader, (int64_t)row->upkeep, (int64_t)row->opens,
		(int64_t)row->reads, (int64_t)row->read_bytes, row->first_ns, row->last_ns);
}

/* The readers beyond the bound that have read least become a part of the others. */
static int merge_least(sqlite3 *db, const char *layer, struct error *e)
{
	/* The order must not change between the two statements: it is total. */
#define BEYOND                                                      \
	" FROM layer_readers WHERE layer = :layer AND reader != ''" \
	" ORDER BY read_bytes DESC, last DESC, reader, upkeep LIMIT -1 OFFSET :kept"
	int code = statement_run(
		db, e,
		"INSERT INTO layer_readers(layer, reader, upkeep, opens, reads, read_bytes, first,"
		" last) SELECT layer, '', upkeep, sum(opens), sum(reads), sum(read_bytes),"
		" min(first), max(last) FROM (SELECT *" BEYOND ") WHERE true GROUP BY upkeep"
		" ON CONFLICT DO UPDATE SET opens = opens + excluded.opens,"
		" reads = reads + excluded.reads, read_bytes = read_bytes + excluded.read_bytes,"
		" first = min(first, excluded.first), last = max(last, excluded.last)",
		"ti", layer, (int64_t)READER_ROWS_PER_LAYER);

	if (code < 0)
		return code;
	return statement_run(
		db, e,
		"DELETE FROM layer_readers WHERE layer = :layer AND (reader, upkeep) IN"
		" (SELECT reader, upkeep" BEYOND ")",
		"ti", layer, (int64_t)READER_ROWS_PER_LAYER);
}

/* Of one layer. */
static int add_group(sqlite3 *db, const struct reader_row *rows, size_t count, int64_t in_all,
		     struct error *e)
{
	int64_t exists = 0;
	int code = statement_query(db, read_number, &exists, e,
				   "SELECT 1 FROM layers WHERE name = :layer", "t", rows[0].layer);

	if (code < 0 || !exists)
		return code;
	for (size_t i = 0; i < count && code == 0; i++)
		code = add_row(db, &rows[i], in_all < READER_ROWS_IN_ALL ? rows[i].reader : "", e);
	return code < 0 ? code : merge_least(db, rows[0].layer, e);
}

int reader_rows_add(sqlite3 *db, const struct reader_row *rows, size_t count, struct error *e)
{
	int64_t in_all = 0;
	size_t first = 0;
	int code = count == 0 ? 0
			      : statement_query(db, read_number, &in_all, e,
						"SELECT count(*) FROM layer_readers", "");

	while (code == 0 && first < count) {
		size_t end = first + 1;

		while (end < count && strcmp(rows[end].layer, rows[first].layer) == 0)
			end++;
		code = add_group(db, &rows[first], end - first, in_all + (int64_t)first, e);
		first = end;
	}
	return code;
}

void reader_rows_expire(struct change_set *c, int64_t before_ns)
{
	change_set_add(c, "DELETE FROM layer_readers WHERE last < :before", "i", before_ns);
}

void reader_rows_forget(struct change_set *c, const char *layer)
{
	change_set_add(c, "DELETE FROM layer_readers WHERE layer = :layer", "t", layer);
}

struct visit {
	int (*reader)(const struct reader_row *row, void *user);
	void *user;
};

static int visit_reader(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct reader_row reader = { .reader = statement_text(row, 0),
				     .upkeep = sqlite3_column_int64(row, 1) != 0,
				     .layers = (uint64_t)sqlite3_column_int64(row, 2),
				     .opens = (uint64_t)sqlite3_column_int64(row, 3),
				     .reads = (uint64_t)sqlite3_column_int64(row, 4),
				     .read_bytes = (uint64_t)sqlite3_column_int64(row, 5),
				     .first_ns = sqlite3_column_int64(row, 6),
				     .last_ns = sqlite3_column_int64(row, 7) };
	int code = v->reader(&reader, v->user);

	return code < 0 ? error_set(e, code, "readers: %s", strerror(-code)) : 0;
}

int reader_rows_load(sqlite3 *db, const char *layer,
		     int (*visit)(const struct reader_row *row, void *user), void *user,
		     struct error *e)
{
	struct visit v = { .reader = visit, .user = user };

	if (layer)
		return statement_query(
			db, visit_reader, &v, e,
			"SELECT reader, upkeep, 1, opens, reads, read_bytes, first, last"
			" FROM layer_readers WHERE layer = :layer"
			" ORDER BY reader = '', read_bytes DESC, reader, upkeep",
			"t", layer);
	return statement_query(db, visit_reader, &v, e,
			       "SELECT reader, upkeep, count(*), sum(opens), sum(reads),"
			       " sum(read_bytes) AS bytes, min(first), max(last) FROM layer_readers"
			       " GROUP BY reader, upkeep"
			       " ORDER BY reader = '', bytes DESC, reader, upkeep",
			       "");
}
