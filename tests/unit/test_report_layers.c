/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report/report_layers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)
#define COUNT 6

/* Records r0 to r5, each on its own layer and on top of the one before, of 100 bytes. */
struct store {
	Varve__V1__Record records[COUNT], *pointers[COUNT];
	Varve__V1__Stats stats[COUNT], *stats_pointers[COUNT];
	char ids[COUNT][8], layers[COUNT][8];
	char *parents[COUNT];
};

static void fill(struct store *s)
{
	for (size_t i = 0; i < COUNT; i++) {
		varve__v1__record__init(&s->records[i]);
		varve__v1__stats__init(&s->stats[i]);
		(void)snprintf(s->ids[i], sizeof(s->ids[i]), "r%zu", i);
		(void)snprintf(s->layers[i], sizeof(s->layers[i]), "l%zu", i);
		s->records[i].id = s->stats[i].id = s->ids[i];
		s->records[i].layer = s->layers[i];
		s->records[i].created_ns = NOW - 100 * 24 * 3600 * NS_PER_S;
		s->stats[i].size = 100;
		if (i > 0) {
			s->parents[i] = s->ids[i - 1];
			s->records[i].parents = &s->parents[i];
			s->records[i].n_parents = 1;
		}
		s->pointers[i] = &s->records[i];
		s->stats_pointers[i] = &s->stats[i];
	}
}

static void join(struct store *s, struct report_layers *ret_layers)
{
	assert_int_equal(report_layers_join((const Varve__V1__Record *const *)s->pointers, COUNT,
					    s->stats_pointers, COUNT, ret_layers),
			 0);
}

static void only_what_was_counted_without_gaps_is_called_never_read(void **state)
{
	cleanup(report_layers_free) struct report_layers layers = { 0 };
	cleanup(report_facts_free) struct report_facts f = { .now_ns = NOW,
							     .older_than_ns = NS_PER_S };
	struct store s = { 0 };

	(void)state;
	fill(&s);
	s.stats[0].files_complete_since_ns = NOW - NS_PER_S; /* an access was lost */
	s.stats[1].unseen = UINT32_C(1) << 14; /* no backend counts */
	s.stats[2].last_access_ns = NOW - 31 * 24 * 3600 * NS_PER_S;
	s.stats[3].last_access_ns = NOW - NS_PER_S;
	s.records[4].created_ns = NOW; /* too young */
	join(&s, &layers);
	assert_int_equal(report_layers_count(&layers, &f), 0);
	assert_int_equal(f.all.layers, 6);
	assert_int_equal(f.incomplete.layers, 2);
	assert_int_equal(f.cold.layers, 1);
	assert_int_equal(f.never_read.layers, 1);
}

static void records_that_share_a_layer_count_it_once(void **state)
{
	cleanup(report_layers_free) struct report_layers layers = { 0 };
	cleanup(report_facts_free) struct report_facts f = { .now_ns = NOW };
	struct store s = { 0 };

	(void)state;
	fill(&s);
	s.records[5].layer = s.layers[4];
	s.stats[0].size = -1;
	join(&s, &layers);
	assert_int_equal(report_layers_count(&layers, &f), 0);
	assert_int_equal(f.never_read.layers, 5);
	assert_int_equal(f.never_read.bytes, 400);
	assert_int_equal(f.unmeasured.layers, 1);
	assert_int_equal(f.change_count, 1);
	assert_int_equal(f.changes[0].bytes, 400);
}

static void the_files_of_an_image_are_those_of_its_whole_chain(void **state)
{
	cleanup(report_layers_free) struct report_layers layers = { 0 };
	struct store s = { 0 };
	uint64_t files;
	int64_t bytes;

	(void)state;
	fill(&s);
	s.stats[1].files_touched = 1;
	join(&s, &layers);
	assert_true(report_layers_image(&layers, "r3", &files, &bytes));
	assert_int_equal(files, 1);
	assert_int_equal(bytes, 400);
	s.stats[0].files_complete_since_ns = NOW;
	assert_false(report_layers_image(&layers, "r3", &files, &bytes));
	assert_false(report_layers_image(&layers, "nothing", &files, &bytes));
	s.parents[2] = s.ids[3]; /* a circle, as only a broken agent could send it */
	assert_false(report_layers_image(&layers, "r3", &files, &bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_was_counted_without_gaps_is_called_never_read),
		cmocka_unit_test(records_that_share_a_layer_count_it_once),
		cmocka_unit_test(the_files_of_an_image_are_those_of_its_whole_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
