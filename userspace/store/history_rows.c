/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history_rows.h"

#include <math.h>
#include <string.h>

#include "store/statement.h"

#define MICRO 1e6
#define DAY_NS (INT64_C(86400) * 1000000000)

static int64_t to_ms(double seconds)
{
	return llround(seconds * 1e3);
}

static double from_ms(int64_t ms)
{
	return (double)ms / 1e3;
}

void history_rows_add(struct change_set *c, const struct history_row *r)
{
	change_set_add(c,
		       "INSERT INTO history(at, event, layer, identity, below, record, bytes, cost,"
		       " by, since) VALUES(:at, :event, :layer, :identity, :below, :record, :bytes,"
		       " :cost, :by, :since)",
		       "iittttiiti", r->at_ns, (int64_t)r->event, r->layer, r->identity, r->below,
		       r->record, r->bytes, r->cost_ms, r->by, r->since_ns);
}

void history_rows_trim(struct change_set *c, int64_t before_ns)
{
	change_set_add(c,
		       "DELETE FROM history WHERE at < :before AND NOT (event = 1 AND EXISTS"
		       " (SELECT 1 FROM layers WHERE name = history.layer))",
		       "i", before_ns);
	change_set_add(c, "DELETE FROM departed WHERE at < :before", "i", before_ns);
}

void history_rows_limit(struct change_set *c, int64_t rows)
{
	change_set_add(c,
		       "DELETE FROM history WHERE seq <= (SELECT max(seq) FROM history) - :rows"
		       " AND NOT (event = 1 AND EXISTS"
		       " (SELECT 1 FROM layers WHERE name = history.layer))",
		       "i", rows);
}

void history_rows_set_past(struct change_set *c, const struct past_row *r)
{
	change_set_add(c,
		       "INSERT OR REPLACE INTO pasts(layer, identity, below, first, last, counted,"
		       " child, log_gap, needs, cost, replacements, comebacks) VALUES(:layer,"
		       " :identity, :below, :first, :last, :counted, :child, :log_gap, :needs,"
		       " :cost, :replacements, :comebacks)",
		       "tttiiiiiiiii", r->layer, r->identity, r->below, to_ms(r->past.first_s),
		       to_ms(r->past.last_s), to_ms(r->past.counted_s), to_ms(r->past.child_s),
		       llround((double)r->past.mean_log_gap * MICRO), (int64_t)r->past.needs,
		       r->cost_ms, (int64_t)r->past.replacements, (int64_t)r->past.comebacks);
}

void history_rows_delete_past(struct change_set *c, const char *layer)
{
	change_set_add(c, "DELETE FROM pasts WHERE layer = :layer", "t", layer);
}

void history_rows_set_departed(struct change_set *c, const struct departed_row *r)
{
	change_set_add(
		c,
		"INSERT OR REPLACE INTO departed(identity, at, by, bytes, cost, first, last,"
		" counted, log_gap, needs) VALUES(:identity, :at, :by, :bytes, :cost, :first,"
		" :last, :counted, :log_gap, :needs)",
		"titiiiiiii", r->identity, r->at_ns, r->by, r->bytes, r->cost_ms,
		to_ms(r->past.first_s), to_ms(r->past.last_s), to_ms(r->past.counted_s),
		llround((double)r->past.mean_log_gap * MICRO), (int64_t)r->past.needs);
}

void history_rows_delete_departed(struct change_set *c, const char *identity)
{
	change_set_add(c, "DELETE FROM departed WHERE identity = :identity", "t", identity);
}

/* ---- loading ---- */

struct visit {
	union {
		int (*event)(const struct history_row *row, void *user);
		int (*past)(const struct past_row *row, void *user);
		int (*departed)(const struct departed_row *row, void *user);
		int (*regret)(const struct regret_row *row, void *user);
	};
	void *user;
};

static int end_visit(int code, struct error *e)
{
	return code < 0 ? error_set(e, code, "history: %s", strerror(-code)) : 0;
}

static int visit_event(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct history_row r = {
		.seq = sqlite3_column_int64(row, 0),
		.at_ns = sqlite3_column_int64(row, 1),
		.event = (enum history_event)sqlite3_column_int64(row, 2),
		.layer = statement_text(row, 3),
		.identity = statement_text(row, 4),
		.below = statement_text(row, 5),
		.record = statement_text(row, 6),
		.bytes = sqlite3_column_int64(row, 7),
		.cost_ms = sqlite3_column_int64(row, 8),
		.by = statement_text(row, 9),
		.since_ns = sqlite3_column_int64(row, 10),
	};

	return end_visit(v->event(&r, v->user), e);
}

int history_rows_load(sqlite3 *db, int64_t after_ns, int64_t after_seq, int64_t limit,
		      int (*visit)(const struct history_row *row, void *user), void *user,
		      struct error *e)
{
	struct visit v = { .event = visit, .user = user };

	/* The size of a layer is known some time after it was made. */
	return statement_query(db, visit_event, &v, e,
			       "SELECT seq, at, event, layer, identity, below, record,"
			       " CASE WHEN bytes > 0 THEN bytes ELSE coalesce((SELECT allocated"
			       " FROM layers WHERE name = history.layer), 0) END, cost, by, since"
			       " FROM history WHERE (at, seq) > (:at, :seq) ORDER BY at, seq"
			       " LIMIT :limit",
			       "iii", after_ns, after_seq, limit);
}

/* The columns first, last, counted, log_gap and needs. */
static struct forecast_past read_past(sqlite3_stmt *row, int column)
{
	return (struct forecast_past){
		.first_s = from_ms(sqlite3_column_int64(row, column)),
		.last_s = from_ms(sqlite3_column_int64(row, column + 1)),
		.counted_s = from_ms(sqlite3_column_int64(row, column + 2)),
		.mean_log_gap = (float)((double)sqlite3_column_int64(row, column + 3) / MICRO),
		.needs = (uint32_t)sqlite3_column_int64(row, column + 4),
	};
}

static int visit_past(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct past_row r = {
		.layer = statement_text(row, 0),
		.identity = statement_text(row, 1),
		.below = statement_text(row, 2),
		.past = read_past(row, 3),
		.cost_ms = sqlite3_column_int64(row, 9),
	};

	r.past.child_s = from_ms(sqlite3_column_int64(row, 8));
	r.past.replacements = (uint32_t)sqlite3_column_int64(row, 10);
	r.past.comebacks = (uint32_t)sqlite3_column_int64(row, 11);
	return end_visit(v->past(&r, v->user), e);
}

int history_rows_load_pasts(sqlite3 *db, int (*visit)(const struct past_row *row, void *user),
			    void *user, struct error *e)
{
	struct visit v = { .past = visit, .user = user };

	return statement_query(db, visit_past, &v, e,
			       "SELECT layer, identity, below, first, last, counted, log_gap,"
			       " needs, child, cost, replacements, comebacks FROM pasts",
			       "");
}

static int visit_departed(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct departed_row r = {
		.identity = statement_text(row, 0),
		.at_ns = sqlite3_column_int64(row, 1),
		.by = statement_text(row, 2),
		.bytes = sqlite3_column_int64(row, 3),
		.cost_ms = sqlite3_column_int64(row, 4),
		.past = read_past(row, 5),
	};

	return end_visit(v->departed(&r, v->user), e);
}

int history_rows_load_departed(sqlite3 *db,
			       int (*visit)(const struct departed_row *row, void *user), void *user,
			       struct error *e)
{
	struct visit v = { .departed = visit, .user = user };

	return statement_query(db, visit_departed, &v, e,
			       "SELECT identity, at, by, bytes, cost, first, last, counted,"
			       " log_gap, needs FROM departed",
			       "");
}

/* ---- regrets ---- */

static struct regretted_row read_regretted(sqlite3_stmt *row, int column)
{
	return (struct regretted_row){ .layers = sqlite3_column_int64(row, column),
				       .bytes = sqlite3_column_int64(row, column + 1),
				       .cost_ms = sqlite3_column_int64(row, column + 2) };
}

static int visit_regret(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct regret_row r = {
		.by = statement_text(row, 0),
		.evicted = sqlite3_column_int64(row, 1),
		.evicted_bytes = sqlite3_column_int64(row, 2),
		.day = read_regretted(row, 3),
		.week = read_regretted(row, 6),
	};

	return end_visit(v->regret(&r, v->user), e);
}

/* Of rows that lie, the amounts are bounded, so that no sum overflows. */
int history_rows_load_regrets(sqlite3 *db, int (*visit)(const struct regret_row *row, void *user),
			      void *user, struct error *e)
{
	struct visit v = { .regret = visit, .user = user };

	return statement_query(
		db, visit_regret, &v, e,
		"SELECT by, count(*) FILTER (WHERE event = 3),"
		" coalesce(sum(size) FILTER (WHERE event = 3), 0) AS evicted,"
		" count(*) FILTER (WHERE event = 1 AND since <= :day),"
		" coalesce(sum(size) FILTER (WHERE event = 1 AND since <= :day), 0),"
		" coalesce(sum(ms) FILTER (WHERE event = 1 AND since <= :day), 0),"
		" count(*) FILTER (WHERE event = 1 AND since <= :week),"
		" coalesce(sum(size) FILTER (WHERE event = 1 AND since <= :week), 0),"
		" coalesce(sum(ms) FILTER (WHERE event = 1 AND since <= :week), 0)"
		" FROM (SELECT by, event, since, min(max(cost, 0), 1 << 40) AS ms,"
		"  min(max(CASE WHEN bytes > 0 THEN bytes ELSE coalesce((SELECT allocated FROM"
		"   layers WHERE name = history.layer), 0) END, 0), 1 << 45) AS size"
		"  FROM history WHERE by <> '')"
		" GROUP BY by ORDER BY evicted DESC, by",
		"ii", DAY_NS, 7 * DAY_NS);
}

static int visit_begin(sqlite3_stmt *row, void *user, struct error *e)
{
	(void)e;
	*(int64_t *)user = sqlite3_column_int64(row, 0);
	return 0;
}

int history_rows_find_begin(sqlite3 *db, int64_t *ret_at_ns, struct error *e)
{
	int64_t at_ns = 0;
	int code = statement_query(db, visit_begin, &at_ns, e, "SELECT min(at) FROM history", "");

	if (code == 0)
		*ret_at_ns = at_ns > 0 ? at_ns : 0;
	return code;
}
