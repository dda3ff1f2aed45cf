/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a manager that has a graph and a database, and nothing else. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "manager/history/history.h"
#include "manager/history/history_forecast.h"
#include "manager/history/history_save.h"
#include "manager/history/history_state.h"
#include "store/statement.h"

#define EVENTS_KEPT 10000 /* while the database cannot be written */

struct fixture {
	struct manager m;
	char folder[64], path[96];
	char reported[400];
	unsigned reports;
};

static void note_report(bool problem, const char *text, void *user)
{
	struct fixture *f = user;

	assert_true(problem);
	(void)snprintf(f->reported, sizeof(f->reported), "%s", text);
	f->reports++;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/varve-test.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof(f->path), "%s/db", f->folder);
	f->m.report = note_report;
	f->m.user = f;
	f->m.events = event_ring_new();
	f->m.graph = record_graph_new();
	assert_non_null(f->m.graph);
	ranked_lock_init(&f->m.lock, MANAGER_RANK_STATE);
	assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->m.database, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char path[128];

	history_state_free(f->m.history);
	record_graph_free(f->m.graph);
	event_ring_free(f->m.events);
	database_close(f->m.database);
	ranked_lock_destroy(&f->m.lock);
	(void)unlink(f->path);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s-%s", f->path, i ? "wal" : "shm");
		(void)unlink(path);
	}
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

static void make_layer(struct manager *m, unsigned number)
{
	char id[RECORD_ID_LENGTH + 1], name[LAYER_NAME_LENGTH + 1];
	cleanup(record_free) struct record *r = NULL;
	struct layer *layer;

	(void)snprintf(id, sizeof(id), "record%u", number);
	(void)snprintf(name, sizeof(name), "%u", number);
	r = record_new(id, id, "regular");
	layer = record_graph_add_layer(m->graph, name);
	assert_non_null(r);
	assert_non_null(layer);
	assert_int_equal(record_graph_insert(m->graph, r, NULL, layer), 0);
	history_begin(m, r);
	history_made(m, r);
	r = NULL; /* the graph's */
}

/* A fold, of whose transaction the history says whether it was written. */
static void fold(struct manager *m, bool can_be_written)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	manager_lock(m);
	history_save(m, &c);
	manager_unlock(m);
	if (can_be_written)
		assert_int_equal(change_set_write(&c, m->database, DATABASE_RELAXED, NULL), 0);
	manager_lock(m);
	history_save_done(m, can_be_written);
	manager_unlock(m);
}

static int take_count(sqlite3_stmt *row, void *user, struct error *e)
{
	(void)e;
	*(int64_t *)user = sqlite3_column_int64(row, 0);
	return 0;
}

static int64_t count_rows(struct manager *m, const char *sql)
{
	sqlite3 *db = database_lock_reader(m->database);
	int64_t count = -1;

	assert_int_equal(statement_query(db, take_count, &count, NULL, sql, ""), 0);
	database_unlock_reader(m->database);
	return count;
}

static void
events_beyond_the_limit_are_dropped_and_reported_once_the_database_is_written(void **state)
{
	struct fixture *f = *state;
	struct manager *m = &f->m;

	assert_int_equal(history_save_load(m, NULL), 0);
	manager_lock(m);
	for (unsigned i = 0; i < EVENTS_KEPT - 5; i++)
		make_layer(m, i);
	manager_unlock(m);
	fold(m, false);
	assert_int_equal(f->reports, 0);
	manager_lock(m);
	for (unsigned i = EVENTS_KEPT - 5; i < EVENTS_KEPT + 7; i++)
		make_layer(m, i);
	manager_unlock(m);
	fold(m, false);
	fold(m, true);
	assert_int_equal(f->reports, 1);
	assert_non_null(strstr(f->reported, "history: 7 events are lost"));
	assert_int_equal(count_rows(m, "SELECT count(*) FROM history"), EVENTS_KEPT);
	/* What was kept of a layer is complete, whatever was dropped of the events. */
	assert_int_equal(count_rows(m, "SELECT count(*) FROM pasts"), EVENTS_KEPT + 7);
	fold(m, true);
	assert_int_equal(f->reports, 1);
	assert_int_equal(count_rows(m, "SELECT count(*) FROM history"), EVENTS_KEPT);
}

static void set_cost(struct manager *m, const char *layer, int64_t cost_ms)
{
	struct past *p = history_state_find(m, layer);

	p->cost_ms = cost_ms;
	history_state_change(m->history, p);
}

/* A fold must not look at the pasts of the whole store, so that it has to know which have changed.
 */
static void a_past_that_changes_is_written_by_the_next_fold_that_succeeds(void **state)
{
	struct fixture *f = *state;
	struct manager *m = &f->m;
	cleanup(change_set_free) struct change_set c = { 0 };

	assert_int_equal(history_save_load(m, NULL), 0);
	manager_lock(m);
	for (unsigned i = 0; i < 3; i++)
		make_layer(m, i);
	manager_unlock(m);
	fold(m, true);
	assert_int_equal(m->history->changed_count, 0);
	manager_lock(m);
	set_cost(m, "1", 5);
	history_save(m, &c);
	set_cost(m, "1", 7); /* while the fold is written */
	set_cost(m, "2", 9);
	history_state_remove(m->history, history_state_find(m, "2"));
	history_save_done(m, false);
	manager_unlock(m);
	fold(m, false);
	fold(m, true);
	assert_int_equal(count_rows(m, "SELECT cost FROM pasts WHERE layer = '1'"), 7);
	assert_int_equal(m->history->changed_count, 0);
}

static void a_layer_that_was_not_filled_has_no_cost_and_no_event(void **state)
{
	struct fixture *f = *state;
	struct manager *m = &f->m;
	struct history_forecast x;
	struct record *r;
	struct layer *layer;

	assert_int_equal(history_save_load(m, NULL), 0);
	manager_lock(m);
	r = record_new("lazy", "lazy", "regular");
	layer = record_graph_add_layer(m->graph, "1");
	assert_int_equal(record_graph_insert(m->graph, r, NULL, layer), 0);
	layer->lazy = true;
	history_begin(m, r);
	history_made(m, r);
	assert_int_equal(m->history->event_count, 0);
	assert_true(history_forecast_of(m, "1", clock_wall_ns(), &x));
	assert_true(x.cost_s == 0);
	layer->lazy = false;
	history_filled(m, layer, r->id, 1500 * (NS_PER_S / 1000));
	assert_int_equal(m->history->event_count, 1);
	assert_true(history_forecast_of(m, "1", clock_wall_ns(), &x));
	assert_true(x.cost_s == 1.5);
	history_filled(m, layer, r->id, 5 * NS_PER_S); /* a layer is filled once */
	assert_int_equal(m->history->event_count, 1);
	manager_unlock(m);
}

/* A damaged history may say of a layer that it is gone although others lie on it, or that two lie
 * on each other. */
static void a_history_that_contradicts_the_graph_does_no_harm(void **state)
{
	struct fixture *f = *state;
	struct manager *m = &f->m;
	struct history_forecast x;
	int64_t now = clock_wall_ns();

	assert_int_equal(history_save_load(m, NULL), 0);
	manager_lock(m);
	for (unsigned i = 0; i < 4; i++)
		make_layer(m, i);
	for (unsigned i = 0; i < 4; i++) {
		struct past *p = history_state_find(m, (const char[]){ (char)('0' + i), '\0' });

		/* 0 on 1 on 0, 2 on itself, 3 on 1 */
		(void)snprintf(p->below, sizeof(p->below), "%s",
			       i == 0	? "1"
			       : i == 1 ? "0"
			       : i == 2 ? "2"
					: "1");
		history_state_link(m->history, p);
	}
	history_needed(m, "3", now + 3600 * NS_PER_S);
	history_forecast_count_idle(m, now + 7200 * NS_PER_S);
	assert_true(history_forecast_of(m, "0", now + 7200 * NS_PER_S, &x));
	assert_true(x.need_rate > 0);
	history_departed(m, "1", NULL, now);
	assert_null(history_state_below(history_state_find(m, "3")));
	history_needed(m, "3", now + 10800 * NS_PER_S);
	history_departed(m, "0", "prune/forecast", now);
	history_departed(m, "2", NULL, now);
	assert_true(history_forecast_of(m, "3", now, &x));
	manager_unlock(m);
	fold(m, true);
}

static void a_young_store_keeps_what_was_read_longer(void **state)
{
	struct fixture *f = *state;
	struct manager *m = &f->m;
	struct history_forecast x;
	int64_t now = clock_wall_ns();

	assert_int_equal(history_save_load(m, NULL), 0);
	manager_lock(m);
	make_layer(m, 0);
	make_layer(m, 1);
	history_needed(m, "0", now + NS_PER_S);
	assert_true(history_forecast_of(m, "0", now + NS_PER_S, &x));
	assert_true(x.kept_longer);
	assert_true(history_forecast_of(m, "1", now + NS_PER_S, &x));
	assert_false(x.kept_longer);
	for (unsigned i = 0; i < 200; i++)
		history_needed(m, "0", now + i * 900 * NS_PER_S);
	assert_true(history_forecast_of(m, "0", now + 200 * 900 * NS_PER_S, &x));
	assert_false(x.kept_longer);
	manager_unlock(m);
}

static void a_full_log_loses_its_oldest_rows(void **state)
{
	struct fixture *f = *state;
	struct manager *m = &f->m;
	cleanup(change_set_free) struct change_set c = { 0 };

	for (int64_t i = 0; i < 300; i++)
		history_rows_add(&c, &(struct history_row){ .at_ns = i,
							    .event = HISTORY_NEEDED,
							    .layer = "gone",
							    .identity = "",
							    .below = "",
							    .record = "",
							    .by = "" });
	history_rows_limit(&c, 100);
	assert_int_equal(change_set_write(&c, m->database, DATABASE_RELAXED, NULL), 0);
	assert_int_equal(count_rows(m, "SELECT count(*) FROM history"), 100);
	assert_int_equal(count_rows(m, "SELECT min(at) FROM history"), 200);
}

static void an_expectation_is_explained_in_a_sentence(void **state)
{
	(void)state;
	const struct history_forecast often = { .need_rate = 1 / (9 * 86400.0),
						.cost_s = 40,
						.idle_s = 2 * 86400.0,
						.gap_s = 4 * 3600.0,
						.needs = 9,
						.read = true };
	const struct history_forecast never = { .need_rate = 1 / 3600.0, .idle_s = 60, .needs = 1 };
	const struct history_forecast once = {
		.need_rate = 1 / 7200.0, .idle_s = 60, .needs = 1, .read = true
	};
	const struct history_forecast unknown = { .need_rate = 1e-300 };
	char text[HISTORY_FORECAST_TEXT];

	history_forecast_explain(&often, text);
	assert_string_equal(text, "in about 9 days (records like it: read every 4 h or so, idle "
				  "for 2 days); takes 40 s to make");
	history_forecast_explain(&never, text);
	assert_string_equal(text, "in about 60 min (records like it: not read, idle for 60 s)");
	history_forecast_explain(&once, text);
	assert_string_equal(text, "in about 2 h (records like it: read when they were made, idle "
				  "for 60 s)");
	history_forecast_explain(&unknown, text);
	assert_string_equal(text, "in centuries");
}

static void a_past_keeps_a_digest_as_its_identity_and_nothing_else(void **unused)
{
	static const char digest[] =
		"sha256:0123456789abcdef00ff10f0e1d2c3b4a5968778695a4b3c2d1e0ffedcba9876";
	struct past p = { 0 };

	(void)unused;
	assert_string_equal(history_state_identity(&p).text, "");
	history_state_set_identity(&p, digest);
	assert_string_equal(history_state_identity(&p).text, digest);
	history_state_set_identity(&p, "nonsense");
	assert_string_equal(history_state_identity(&p).text, "");
	history_state_set_identity(&p, "");
	assert_false(p.has_identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			events_beyond_the_limit_are_dropped_and_reported_once_the_database_is_written,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_past_that_changes_is_written_by_the_next_fold_that_succeeds, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_layer_that_was_not_filled_has_no_cost_and_no_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_history_that_contradicts_the_graph_does_no_harm,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_young_store_keeps_what_was_read_longer, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_full_log_loses_its_oldest_rows, set_up,
						tear_down),
		cmocka_unit_test(an_expectation_is_explained_in_a_sentence),
		cmocka_unit_test(a_past_keeps_a_digest_as_its_identity_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
