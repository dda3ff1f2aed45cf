/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the planner with a plain implementation of the rule, and tests corner cases by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "prune/prune_plan.h"

#define ID_SIZE 12
#define NONE PRUNE_NO_PARENT

/* xorshift64*, which draws the same states on every machine. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return (random_next(state) >> 11) % limit;
}

/* ---- the plain method ---- */

static bool is_candidate(const struct prune_record *records, size_t count, const bool *gone,
			 size_t i)
{
	if (gone[i] || !records[i].evictable)
		return false;
	for (size_t j = 0; j < count; j++)
		if (!gone[j] && records[j].parent == i)
			return false;
	return true;
}

static int compare_values(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* Sorts, keeps one of each value and drops 0; returns how many are left. */
static size_t distinct(uint64_t *values, size_t count)
{
	size_t kept = 0;

	qsort(values, count, sizeof(*values), compare_values);
	for (size_t i = 0; i < count; i++)
		if (values[i] > 0 && (kept == 0 || values[kept - 1] != values[i]))
			values[kept++] = values[i];
	return kept;
}

static size_t rank_of(const uint64_t *values, size_t count, uint64_t value)
{
	for (size_t i = 0; i < count; i++)
		if (values[i] == value)
			return i + 1;
	return 0;
}

static bool goes_before(const struct prune_record *a, double score_a, const struct prune_record *b,
			double score_b)
{
	if (score_a != score_b)
		return score_a < score_b;
	if (a->last_used_ns != b->last_used_ns)
		return a->last_used_ns < b->last_used_ns;
	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns;
	return strcmp(a->id, b->id) < 0;
}

/* Finds the next step as the rule says. Returns false if no record is a candidate. */
static bool plain_step(const struct prune_record *records, size_t count, const bool *gone,
		       const struct prune_scorer *scorer, struct prune_step *ret_step)
{
	cleanup(free_ptr) uint64_t *used = calloc(count + 1, sizeof(*used));
	cleanup(free_ptr) uint64_t *counts = calloc(count + 1, sizeof(*counts));
	size_t candidates = 0, used_ranks, count_ranks;
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if (!is_candidate(records, count, gone, i))
			continue;
		used[candidates] = (uint64_t)records[i].last_used_ns;
		counts[candidates++] = records[i].usage_count;
	}
	used_ranks = distinct(used, candidates);
	count_ranks = distinct(counts, candidates);

	for (size_t i = 0; i < count; i++) {
		const struct prune_record *r = &records[i];
		struct prune_step s = { .record = i };

		if (!is_candidate(records, count, gone, i))
			continue;
		if (scorer->worth) {
			s.score = scorer->worth(r);
			if (!found ||
			    goes_before(r, s.score, &records[ret_step->record], ret_step->score))
				*ret_step = s;
			found = true;
			continue;
		}
		s.last_used_ranks = used_ranks;
		s.usage_ranks = count_ranks;
		s.last_used_rank = rank_of(used, used_ranks, (uint64_t)r->last_used_ns);
		s.usage_rank = rank_of(counts, count_ranks, r->usage_count);
		s.size_term = scorer->size_term(scorer->size_class(r->size_bytes));
		s.score = used_ranks ? (double)s.last_used_rank / (double)used_ranks : 0;
		s.score += count_ranks ? (double)s.usage_rank / (double)count_ranks : 0;
		s.score += s.size_term;
		if (!found || goes_before(r, s.score, &records[ret_step->record], ret_step->score))
			*ret_step = s;
		found = true;
	}
	return found;
}

static void plain_plan(const struct prune_record *records, size_t count, int64_t keep_bytes,
		       const struct prune_scorer *scorer, struct prune_plan *plan)
{
	cleanup(free_ptr) bool *gone = calloc(count + 1, sizeof(*gone));
	struct prune_step step = { 0 };

	*plan = (struct prune_plan){ .steps = calloc(count + 1, sizeof(*plan->steps)) };
	for (size_t i = 0; i < count; i++)
		plan->remaining_bytes += records[i].shared ? 0 : records[i].size_bytes;
	while (keep_bytes == 0 || plan->remaining_bytes >= keep_bytes) {
		if (!plain_step(records, count, gone, scorer, &step))
			break;
		gone[step.record] = true;
		plan->steps[plan->count++] = step;
		if (!records[step.record].shared) {
			plan->freed_bytes += records[step.record].size_bytes;
			plan->remaining_bytes -= records[step.record].size_bytes;
		}
	}
}

/* ---- random states ---- */

struct state {
	struct prune_record *records;
	char (*ids)[ID_SIZE];
	size_t count;
};

/* How a state is drawn: the ranges are small, so that many values are equal. */
struct shape {
	size_t records;
	uint64_t times, counts, sizes; /* different values; 1: all of them zero */
	unsigned chain, held, shared; /* one in so many ends a chain, is held, is shared */
	bool opposed; /* the more used, the longer ago */
};

static void state_free(struct state *s)
{
	free(s->records);
	free(s->ids);
}

static struct state draw_state(const struct shape *shape, uint64_t *seed)
{
	struct state s = { .count = shape->records };

	s.records = calloc(s.count + 1, sizeof(*s.records));
	s.ids = calloc(s.count + 1, sizeof(*s.ids));
	assert_true(s.records && s.ids);
	for (size_t i = 0; i < s.count; i++) {
		struct prune_record *r = &s.records[i];
		uint64_t size = random_below(seed, shape->sizes);

		(void)snprintf(s.ids[i], ID_SIZE, "%05zu", (i * 7919 + 13) % 100003);
		r->id = s.ids[i];
		r->parent = i == 0 || random_below(seed, shape->chain) == 0 ? NONE : i - 1;
		r->created_ns = (int64_t)random_below(seed, 4);
		r->last_used_ns = (int64_t)random_below(seed, shape->times);
		r->usage_count = shape->opposed ? shape->times - (uint64_t)r->last_used_ns
						: random_below(seed, shape->counts);
		r->size_bytes = (int64_t)(size << random_below(seed, 24));
		r->shared = shape->shared && random_below(seed, shape->shared) == 0;
		r->inflation = (double)random_below(seed, 3);
		r->evictable = !shape->held || random_below(seed, shape->held) != 0;
	}
	/* Parents may come later in the array as well as earlier. */
	for (size_t i = 0; i + 1 < s.count && random_below(seed, 2); i++)
		if (s.records[i].parent == NONE && random_below(seed, shape->chain) != 0)
			s.records[i].parent = s.count - 1;
	return s;
}

static void assert_same_plan(const struct state *s, int64_t keep_bytes,
			     const struct prune_scorer *scorer, unsigned round)
{
	struct prune_plan plan, expected;
	struct error e = { 0 };

	plain_plan(s->records, s->count, keep_bytes, scorer, &expected);
	assert_int_equal(prune_plan(s->records, s->count,
				    &(struct prune_goal){ .keep_bytes = keep_bytes }, scorer, &plan,
				    &e),
			 0);
	if (plan.count != expected.count)
		print_error("round %u: %zu steps, not %zu\n", round, plan.count, expected.count);
	assert_int_equal(plan.count, expected.count);
	for (size_t i = 0; i < plan.count; i++) {
		const struct prune_step *a = &plan.steps[i], *b = &expected.steps[i];

		if (a->record != b->record || a->score != b->score)
			print_error("round %u step %zu: %zu %.17g, not %zu %.17g\n", round, i,
				    a->record, a->score, b->record, b->score);
		assert_int_equal(a->record, b->record);
		assert_true(a->score == b->score);
		assert_int_equal(a->last_used_rank, b->last_used_rank);
		assert_int_equal(a->last_used_ranks, b->last_used_ranks);
		assert_int_equal(a->usage_rank, b->usage_rank);
		assert_int_equal(a->usage_ranks, b->usage_ranks);
		assert_true(a->size_term == b->size_term);
	}
	assert_int_equal(plan.freed_bytes, expected.freed_bytes);
	assert_int_equal(plan.remaining_bytes, expected.remaining_bytes);
	prune_plan_free(&plan);
	prune_plan_free(&expected);
}

/* B65, B66 */
static void plans_equal_those_of_the_plain_method(void **unused)
{
	(void)unused;
	static const struct shape shapes[] = {
		{ .records = 0, .times = 1, .counts = 1, .sizes = 1, .chain = 1 },
		{ .records = 1, .times = 9, .counts = 9, .sizes = 9, .chain = 1 },
		{ .records = 12, .times = 3, .counts = 3, .sizes = 5, .chain = 3, .held = 6 },
		{ .records = 20, .times = 6, .counts = 6, .sizes = 9, .chain = 4, .shared = 4 },
		{ .records = 20, .times = 1, .counts = 1, .sizes = 1, .chain = 2 },
		{ .records = 20, .times = 1, .counts = 5, .sizes = 9, .chain = 1, .held = 9 },
		{ .records = 20, .times = 5, .counts = 1, .sizes = 9, .chain = 1, .held = 9 },
		{ .records = 30,
		  .times = 99,
		  .counts = 99,
		  .sizes = 99,
		  .chain = 8,
		  .held = 20,
		  .shared = 5 },
		{ .records = 30, .times = 99, .counts = 4, .sizes = 3, .chain = 1 },
		{ .records = 30,
		  .times = 30,
		  .counts = 1,
		  .sizes = 3,
		  .chain = 3,
		  .opposed = true },
	};
	uint64_t seed = 20240501;

	for (unsigned round = 0; round < 6000; round++) {
		struct state s = draw_state(&shapes[round % ARRAY_SIZE(shapes)], &seed);
		int64_t keep = random_below(&seed, 2) ? 0
						      : 1 + (int64_t)random_below(&seed, 1 << 24);

		for (size_t i = 0; i < PRUNE_SCORERS; i++)
			if (!prune_scorers[i]->by_blocks) /* see test_prune_blocks */
				assert_same_plan(&s, keep, prune_scorers[i], round);
		state_free(&s);
	}
}

static void plans_of_larger_states_equal_those_of_the_plain_method(void **unused)
{
	(void)unused;
	static const struct shape shapes[] = {
		{ .records = 150,
		  .times = 1000,
		  .counts = 1000,
		  .sizes = 64,
		  .chain = 10,
		  .held = 30 },
		{ .records = 150,
		  .times = 1000,
		  .counts = 20,
		  .sizes = 64,
		  .chain = 1,
		  .shared = 9 },
		{ .records = 200,
		  .times = 300,
		  .counts = 1,
		  .sizes = 8,
		  .chain = 1,
		  .opposed = true },
	};
	uint64_t seed = 77;

	for (unsigned round = 0; round < 12; round++) {
		struct state s = draw_state(&shapes[round % ARRAY_SIZE(shapes)], &seed);

		for (size_t i = 0; i < PRUNE_SCORERS; i++)
			if (!prune_scorers[i]->by_blocks) /* see test_prune_blocks */
				assert_same_plan(&s, i % 2 ? 0 : 1 << 26, prune_scorers[i], round);
		state_free(&s);
	}
}

/* ---- by hand ---- */

static void assert_order(const struct prune_record *records, size_t count, int64_t keep_bytes,
			 const char *expected)
{
	char order[64] = "";
	struct prune_plan plan;
	struct error e = { 0 };

	assert_int_equal(prune_plan(records, count,
				    &(struct prune_goal){ .keep_bytes = keep_bytes },
				    &prune_scorer_buildkit, &plan, &e),
			 0);
	for (size_t i = 0; i < plan.count; i++)
		(void)strcat(order, records[plan.steps[i].record].id);
	assert_string_equal(order, expected);
	prune_plan_free(&plan);
}

/* B64: children come first, and a record that is not evictable keeps its ancestors. */
static void children_are_evicted_before_their_parents(void **unused)
{
	(void)unused;
	struct prune_record chain[] = {
		{ .id = "a", .parent = NONE, .evictable = true },
		{ .id = "b", .parent = 0, .last_used_ns = 5, .usage_count = 9, .evictable = true },
		{ .id = "c", .parent = 1, .last_used_ns = 9, .usage_count = 9, .evictable = true },
	};
	struct prune_record loop[] = {
		{ .id = "a", .parent = 1, .evictable = true },
		{ .id = "b", .parent = 0, .evictable = true },
		{ .id = "c", .parent = 2, .evictable = true },
	};

	assert_order(chain, 3, 0, "cba");
	chain[1].evictable = false;
	assert_order(chain, 3, 0, "c");
	chain[2].evictable = false;
	assert_order(chain, 3, 0, "");
	assert_order(loop, 3, 0, "");
}

/* B65, B67 */
static void a_plan_stops_once_the_store_is_below_the_limit(void **unused)
{
	(void)unused;
	const struct prune_record records[] = {
		{ .id = "a",
		  .parent = NONE,
		  .last_used_ns = 1,
		  .size_bytes = 10,
		  .evictable = true },
		{ .id = "b",
		  .parent = NONE,
		  .last_used_ns = 2,
		  .size_bytes = 10,
		  .evictable = true },
		{ .id = "c",
		  .parent = NONE,
		  .last_used_ns = 3,
		  .size_bytes = 10,
		  .evictable = true },
		{ .id = "s",
		  .parent = NONE,
		  .size_bytes = 1000,
		  .shared = true,
		  .evictable = true },
		{ .id = "h", .parent = NONE, .size_bytes = 5 },
	};

	assert_order(records, 5, 36, "");
	assert_order(records, 5, 35, "sa"); /* exactly at the limit is not below it */
	assert_order(records, 5, 26, "sa");
	assert_order(records, 5, 25, "sab");
	assert_order(records, 5, 15, "sabc");
	assert_order(records, 5, 1, "sabc"); /* what is held cannot help */
	assert_order(records, 5, 0, "sabc");
}

static void ties_are_decided_by_last_use_creation_and_id(void **unused)
{
	(void)unused;
	const struct prune_record by_creation[] = {
		{ .id = "a", .parent = NONE, .created_ns = 3, .evictable = true },
		{ .id = "c", .parent = NONE, .created_ns = 1, .evictable = true },
		{ .id = "b", .parent = NONE, .created_ns = 1, .evictable = true },
	};
	/* Ranks 1/2 + 2/2 and 2/2 + 1/2. */
	const struct prune_record by_last_use[] = {
		{ .id = "a",
		  .parent = NONE,
		  .last_used_ns = 8,
		  .usage_count = 1,
		  .evictable = true },
		{ .id = "b",
		  .parent = NONE,
		  .last_used_ns = 4,
		  .usage_count = 7,
		  .evictable = true },
	};

	assert_order(by_creation, 3, 0, "bca");
	assert_order(by_last_use, 2, 0, "ba");
}

/* B66: without ranks the score is 0, and a step has the terms of its score. */
static void each_step_has_the_terms_of_its_score(void **unused)
{
	(void)unused;
	const struct prune_record records[] = {
		{ .id = "a",
		  .parent = NONE,
		  .last_used_ns = 4,
		  .usage_count = 3,
		  .evictable = true },
		{ .id = "b", .parent = NONE, .evictable = true },
		{ .id = "c",
		  .parent = NONE,
		  .last_used_ns = 9,
		  .usage_count = 3,
		  .evictable = true },
	};
	struct prune_plan plan;
	struct error e = { 0 };

	assert_int_equal(prune_plan(records, 3, &(struct prune_goal){ .keep_bytes = 0 },
				    &prune_scorer_access, &plan, &e),
			 0);
	assert_int_equal(plan.count, 3);
	assert_int_equal(plan.steps[0].record, 1);
	assert_true(plan.steps[0].score == 1);
	assert_int_equal(plan.steps[1].record, 0);
	assert_int_equal(plan.steps[1].last_used_rank, 1);
	assert_int_equal(plan.steps[1].last_used_ranks, 2);
	assert_int_equal(plan.steps[1].usage_rank, 1);
	assert_int_equal(plan.steps[1].usage_ranks, 1);
	assert_true(plan.steps[1].size_term == 1);
	assert_true(plan.steps[1].score == 2.5);
	assert_true(plan.steps[2].score == 3);
	prune_plan_free(&plan);

	assert_int_equal(prune_plan(records + 1, 1, &(struct prune_goal){ .keep_bytes = 0 },
				    &prune_scorer_buildkit, &plan, &e),
			 0);
	assert_true(plan.steps[0].score == 0);
	prune_plan_free(&plan);
}

static void scorers_are_found_by_name(void **unused)
{
	(void)unused;
	assert_ptr_equal(prune_scorer_find(""), &prune_scorer_forecast);
	assert_ptr_equal(prune_scorer_find("access"), &prune_scorer_access);
	assert_ptr_equal(prune_scorer_find("buildkit"), &prune_scorer_buildkit);
	for (size_t i = 0; i < PRUNE_SCORERS; i++) {
		assert_ptr_equal(prune_scorer_find(prune_scorers[i]->name), prune_scorers[i]);
		assert_non_null(strstr(PRUNE_SCORER_NAMES, prune_scorers[i]->name));
	}
	assert_null(prune_scorer_find("BuildKit"));
	assert_null(prune_scorer_find("none"));
	assert_true(prune_scorer_buildkit.uses_refs);
	assert_false(prune_scorer_access.uses_refs);
}

static void scorers_without_ranks_compute_a_worth(void **unused)
{
	(void)unused;
	const struct prune_record often = { .last_used_ns = 3 * NS_PER_S, .usage_count = 7 };
	const struct prune_record big = { .usage_count = 1, .size_bytes = 4 << 20 };
	const struct prune_record faded = { .usage_count = 1,
					    .size_bytes = 4 << 20,
					    .inflation = 2 };

	assert_true(prune_scorer_lru.worth(&often) == 3);
	assert_true(prune_scorer_lru.worth(&big) == 0);
	assert_true(prune_scorer_gdsf.worth(&often) == 8 * 256); /* as if it took 4 KiB */
	assert_true(prune_scorer_gdsf.worth(&big) == 0.5);
	assert_true(prune_scorer_gdsf.worth(&faded) == 2.5);
	assert_null(prune_scorer_access.worth);
	assert_null(prune_scorer_buildkit.worth);
}

static void bigger_records_get_higher_classes_and_lower_terms(void **unused)
{
	(void)unused;
	static const struct {
		int64_t bytes;
		unsigned size_class;
	} cases[] = {
		{ 0, 0 },
		{ 64 << 10, 0 },
		{ (64 << 10) + 1, 1 },
		{ 256 << 10, 1 },
		{ 1 << 20, 2 },
		{ (1 << 20) + 1, 3 },
		{ INT64_C(16) << 40, 14 },
		{ (INT64_C(16) << 40) + 1, 15 },
		{ INT64_MAX, 15 },
	};
	const struct prune_scorer *s = &prune_scorer_access;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(s->size_class(cases[i].bytes), cases[i].size_class);
	assert_true(s->size_term(0) == 1);
	assert_true(s->size_term(s->size_classes - 1) == 0);
	for (unsigned i = 1; i < s->size_classes; i++)
		assert_true(s->size_term(i) < s->size_term(i - 1));
}

static void impossible_states_are_refused(void **unused)
{
	(void)unused;
	const struct prune_record stray = { .id = "a1", .parent = 1 };
	const struct prune_record negative = { .id = "a2", .parent = NONE, .size_bytes = -1 };
	const struct prune_record huge[] = {
		{ .id = "a3", .parent = NONE, .size_bytes = INT64_MAX },
		{ .id = "a4", .parent = NONE, .size_bytes = 1 },
	};
	struct prune_plan plan = { .count = 42 };
	struct error e = { 0 };

	assert_int_equal(prune_plan(&stray, 1, &(struct prune_goal){ .keep_bytes = 0 },
				    &prune_scorer_access, &plan, &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, "'a1'"));
	assert_int_equal(prune_plan(&negative, 1, &(struct prune_goal){ .keep_bytes = 0 },
				    &prune_scorer_access, &plan, &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, "'a2'"));
	assert_int_equal(prune_plan(huge, 2, &(struct prune_goal){ .keep_bytes = 0 },
				    &prune_scorer_access, &plan, &e),
			 -EOVERFLOW);
	assert_int_equal(prune_plan(huge, 1, &(struct prune_goal){ .keep_bytes = -1 },
				    &prune_scorer_access, &plan, &e),
			 -EINVAL);
	assert_int_equal(plan.count, 42);
}

/* ---- scale ---- */

static void plan_many(const char *what, const struct shape *shape,
		      const struct prune_scorer *scorer)
{
	uint64_t seed = 4711;
	struct state s = draw_state(shape, &seed);
	struct prune_plan plan;
	struct error e = { 0 };
	int64_t total = 0;
	clock_t start = clock();
	double seconds;

	for (size_t i = 0; i < s.count; i++)
		total += s.records[i].size_bytes;
	assert_int_equal(prune_plan(s.records, s.count,
				    &(struct prune_goal){ .keep_bytes = total / 2 }, scorer, &plan,
				    &e),
			 0);
	seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	print_message("%s, %s: %zu of %zu records in %.3f s\n", what, scorer->name, plan.count,
		      s.count, seconds);
	assert_in_range(plan.count, s.count / 4, s.count * 3 / 4);
	/* The plain method takes half an hour, and the planner a tenth of a second without
	 * sanitizers. */
	assert_true(seconds < 20);
	prune_plan_free(&plan);
	state_free(&s);
}

static void large_states_are_planned_quickly(void **unused)
{
	(void)unused;
	static const struct shape few_counts = {
		.records = 100000, .times = 1 << 30, .counts = 1000, .sizes = 1 << 20, .chain = 10
	};
	static const struct shape all_differ = { .records = 100000,
						 .times = 1 << 30,
						 .counts = 1 << 30,
						 .sizes = 1 << 20,
						 .chain = 10 };

	plan_many("1000 counts", &few_counts, &prune_scorer_buildkit);
	plan_many("1000 counts", &few_counts, &prune_scorer_access);
	for (size_t i = 0; i < PRUNE_SCORERS; i++)
		plan_many("all counts differ", &all_differ, prune_scorers[i]);
}

/* Three records whose files are all empty, and one with bytes that is used more. */
static void records_are_evicted_until_both_bytes_and_inodes_are_free(void **unused)
{
	(void)unused;
	const struct prune_record records[] = {
		{ .id = "a",
		  .parent = PRUNE_NO_PARENT,
		  .last_used_ns = 1,
		  .inodes = 10,
		  .evictable = true },
		{ .id = "b",
		  .parent = PRUNE_NO_PARENT,
		  .last_used_ns = 2,
		  .inodes = 10,
		  .evictable = true },
		{ .id = "c",
		  .parent = PRUNE_NO_PARENT,
		  .last_used_ns = 3,
		  .inodes = 10,
		  .evictable = true },
		{ .id = "d",
		  .parent = PRUNE_NO_PARENT,
		  .last_used_ns = 4,
		  .inodes = 1,
		  .size_bytes = 1000,
		  .evictable = true },
	};
	static const struct {
		struct prune_goal goal;
		size_t evicted;
		int64_t inodes;
	} cases[] = {
		{ { .keep_bytes = 2000 }, 0, 0 },
		{ { .keep_bytes = 2000, .free_inodes = 1 }, 1, 10 },
		{ { .keep_bytes = 2000, .free_inodes = 11 }, 2, 20 },
		{ { .keep_bytes = 2000, .free_inodes = 1000 }, 4, 31 },
		{ { .keep_bytes = 500, .free_inodes = 1 }, 4, 31 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(prune_plan_free) struct prune_plan plan = { 0 };
		struct error e = { 0 };

		assert_int_equal(prune_plan(records, ARRAY_SIZE(records), &cases[i].goal,
					    &prune_scorer_lru, &plan, &e),
				 0);
		assert_int_equal(plan.count, cases[i].evicted);
		assert_int_equal(plan.freed_inodes, cases[i].inodes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_evicted_until_both_bytes_and_inodes_are_free),
		cmocka_unit_test(plans_equal_those_of_the_plain_method),
		cmocka_unit_test(plans_of_larger_states_equal_those_of_the_plain_method),
		cmocka_unit_test(children_are_evicted_before_their_parents),
		cmocka_unit_test(a_plan_stops_once_the_store_is_below_the_limit),
		cmocka_unit_test(ties_are_decided_by_last_use_creation_and_id),
		cmocka_unit_test(each_step_has_the_terms_of_its_score),
		cmocka_unit_test(scorers_are_found_by_name),
		cmocka_unit_test(scorers_without_ranks_compute_a_worth),
		cmocka_unit_test(bigger_records_get_higher_classes_and_lower_terms),
		cmocka_unit_test(impossible_states_are_refused),
		cmocka_unit_test(large_states_are_planned_quickly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
