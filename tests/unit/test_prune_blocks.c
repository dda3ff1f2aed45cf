/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the order by blocks with a plain implementation of the rule, and with all other orders.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "prune/prune_blocks.h"
#include "prune/prune_plan.h"

#define ID_SIZE 12
#define MOST 40
#define SIZE(r)                                                                  \
	((double)((r)->size_bytes > PRUNE_BLOCK_SMALLEST_BYTES ? (r)->size_bytes \
							       : PRUNE_BLOCK_SMALLEST_BYTES))

/* xorshift64*: the same forests on every machine. */
static uint64_t random_below(uint64_t *state, uint64_t limit)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return ((*state * UINT64_C(2685821657736338717)) >> 11) % limit;
}

struct forest {
	struct prune_record records[MOST];
	double losses[MOST];
	char ids[MOST][ID_SIZE];
	size_t count;
};

/* Parents come before or after their children; losses and sizes are often equal. */
static void draw(struct forest *f, size_t count, bool all_evictable, uint64_t *seed)
{
	f->count = count;
	for (size_t i = 0; i < count; i++) {
		size_t at = i % 2 ? i / 2 : count - 1 - i / 2;
		struct prune_record *r = &f->records[at];
		uint64_t above = random_below(seed, i + 1);

		(void)snprintf(f->ids[at], ID_SIZE, "%04zu", (at * 37 + 11) % 997);
		*r = (struct prune_record){
			.id = f->ids[at],
			.parent = PRUNE_NO_PARENT,
			.created_ns = (int64_t)random_below(seed, 3),
			.last_used_ns = (int64_t)random_below(seed, 3),
			.size_bytes = (int64_t)(4096 * (1 + random_below(seed, 6))),
			.evictable = all_evictable || random_below(seed, 8) != 0,
			.shared = random_below(seed, 10) == 0,
		};
		f->losses[at] = 64.0 * (double)random_below(seed, 9);
		if (i > 0 && random_below(seed, 4) != 0)
			r->parent = above % 2 ? above / 2 : count - 1 - above / 2;
		if (r->parent == at)
			r->parent = PRUNE_NO_PARENT;
	}
}

/* ---- the plain method ---- */

struct plain_block {
	double loss, bytes;
	size_t records[MOST], count;
};

static double density(const struct plain_block *b)
{
	return b->loss / b->bytes;
}

static bool is_free(const struct forest *f, size_t record)
{
	if (!f->records[record].evictable)
		return false;
	for (size_t i = 0; i < f->count; i++)
		if (f->records[i].parent == record && !is_free(f, i))
			return false;
	return true;
}

/* Adds the blocks of the record and of all records above it, which are free; returns their number.
 */
static size_t plain_blocks(const struct forest *f, size_t record, struct plain_block *blocks)
{
	struct plain_block own = { .loss = f->losses[record],
				   .bytes = SIZE(&f->records[record]),
				   .records = { record },
				   .count = 1 };
	size_t count = 0;

	for (size_t i = 0; i < f->count; i++)
		if (f->records[i].parent == record)
			count += plain_blocks(f, i, blocks + count);
	for (;;) {
		size_t densest = 0;

		for (size_t i = 1; i < count; i++)
			if (density(&blocks[i]) > density(&blocks[densest]))
				densest = i;
		if (count == 0 || density(&blocks[densest]) < density(&own))
			break;
		struct plain_block joined = blocks[densest];

		for (size_t i = 0; i < own.count; i++)
			joined.records[joined.count++] = own.records[i];
		joined.loss += own.loss;
		joined.bytes += own.bytes;
		own = joined;
		blocks[densest] = blocks[--count];
	}
	blocks[count++] = own;
	return count;
}

/* The roots of the evictable trees: free records whose parents are not free. */
static size_t all_blocks(const struct forest *f, struct plain_block *blocks)
{
	size_t count = 0;

	for (size_t i = 0; i < f->count; i++) {
		size_t parent = f->records[i].parent;

		if (is_free(f, i) && (parent == PRUNE_NO_PARENT || !is_free(f, parent)))
			count += plain_blocks(f, i, blocks + count);
	}
	return count;
}

/* Returns the block that the record is in. */
static struct plain_block *find_block(struct plain_block *blocks, size_t count, size_t record)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < blocks[i].count; k++)
			if (blocks[i].records[k] == record)
				return &blocks[i];
	return NULL;
}

/* ---- tests ---- */

static void blocks_equal_those_of_the_plain_method(void **unused)
{
	(void)unused;
	static struct plain_block expected[MOST];
	static struct forest f;
	uint64_t seed = 20260501;

	for (unsigned round = 0; round < 4000; round++) {
		cleanup(free_ptr) struct prune_block_step *steps = NULL;
		size_t count = 0, blocks, at = 0;

		draw(&f, 1 + random_below(&seed, MOST), round % 3 == 0, &seed);
		assert_int_equal(prune_blocks_order(f.records, f.losses, f.count, &steps, &count),
				 0);
		blocks = all_blocks(&f, expected);
		for (size_t done = 0; done < blocks && at < count; done++) {
			struct plain_block *b = find_block(expected, blocks, steps[at].record);

			assert_non_null(b);
			assert_true(fabs(density(b) - steps[at].density) < 1e-9);
			for (size_t i = 0; i < b->count; i++, at++) {
				assert_ptr_equal(find_block(expected, blocks, steps[at].record), b);
				assert_int_equal(steps[at].block_records, b->count);
				assert_true(steps[at].density == steps[at - i].density);
			}
		}
		assert_int_equal(at, count);
		for (size_t i = 1; i < count; i++)
			assert_true(steps[i - 1].density <= steps[i].density);
	}
}

static void children_are_evicted_first_and_protected_records_stay(void **unused)
{
	(void)unused;
	static struct forest f;
	uint64_t seed = 77;

	for (unsigned round = 0; round < 4000; round++) {
		cleanup(free_ptr) struct prune_block_step *steps = NULL;
		bool gone[MOST] = { false };
		size_t count = 0, expected = 0;

		draw(&f, 1 + random_below(&seed, MOST), false, &seed);
		assert_int_equal(prune_blocks_order(f.records, f.losses, f.count, &steps, &count),
				 0);
		for (size_t i = 0; i < count; i++) {
			for (size_t k = 0; k < f.count; k++)
				assert_true(f.records[k].parent != steps[i].record || gone[k]);
			gone[steps[i].record] = true;
		}
		for (size_t i = 0; i < f.count; i++) {
			assert_int_equal(gone[i], is_free(&f, i));
			expected += is_free(&f, i);
		}
		assert_int_equal(count, expected);
	}
}

/* How late the losses come: the sum of the bytes that are free when a record is evicted, times its
 * loss. */
static double worth_of(const struct forest *f, const size_t *order)
{
	double bytes = 0, worth = 0;

	for (size_t i = 0; i < f->count; i++) {
		bytes += SIZE(&f->records[order[i]]);
		worth += bytes * f->losses[order[i]];
	}
	return worth;
}

/* Tries all orders in which children come first, and returns the best. */
static double best_worth(const struct forest *f, size_t *order, size_t length, bool *gone)
{
	double best = -1;

	if (length == f->count)
		return worth_of(f, order);
	for (size_t i = 0; i < f->count; i++) {
		bool is_next = !gone[i];

		for (size_t k = 0; k < f->count && is_next; k++)
			is_next = gone[k] || f->records[k].parent != i;
		if (!is_next)
			continue;
		gone[i] = true;
		order[length] = i;
		double worth = best_worth(f, order, length + 1, gone);
		gone[i] = false;
		best = worth > best ? worth : best;
	}
	return best;
}

static void no_other_order_has_later_losses(void **unused)
{
	(void)unused;
	static struct forest f;
	uint64_t seed = 4711;

	for (unsigned round = 0; round < 600; round++) {
		cleanup(free_ptr) struct prune_block_step *steps = NULL;
		size_t order[MOST], scratch[MOST], count = 0;
		bool gone[MOST] = { false };

		draw(&f, 1 + random_below(&seed, 6), true, &seed);
		assert_int_equal(prune_blocks_order(f.records, f.losses, f.count, &steps, &count),
				 0);
		assert_int_equal(count, f.count);
		for (size_t i = 0; i < count; i++)
			order[i] = steps[i].record;
		double best = best_worth(&f, scratch, 0, gone);
		assert_true(worth_of(&f, order) >= best * (1 - 1e-12));
	}
}

static void a_plan_by_blocks_stops_below_the_limit(void **unused)
{
	(void)unused;
	/* The base costs nothing to lose, and the expensive layer on top of it is evicted with it.
	 */
	const struct prune_record records[] = {
		{ .id = "base",
		  .parent = PRUNE_NO_PARENT,
		  .size_bytes = 8 << 20,
		  .evictable = true },
		{ .id = "layer",
		  .parent = 0,
		  .size_bytes = 1 << 20,
		  .need_rate = 9,
		  .seconds = 1,
		  .evictable = true },
		{ .id = "other",
		  .parent = PRUNE_NO_PARENT,
		  .size_bytes = 1 << 20,
		  .need_rate = 2,
		  .seconds = 1,
		  .evictable = true },
	};
	struct prune_plan plan;
	struct error e = { 0 };

	const struct prune_goal goal = { .keep_bytes = 2 << 20 };
	assert_int_equal(prune_plan(records, 3, &goal, &prune_scorer_forecast, &plan, &e), 0);
	assert_int_equal(plan.count, 2);
	assert_int_equal(plan.steps[0].record, 1);
	assert_int_equal(plan.steps[1].record, 0);
	assert_int_equal(plan.steps[1].block_records, 2);
	assert_int_equal(plan.steps[1].block_bytes, 9 << 20);
	assert_true(plan.steps[0].tops_chain);
	assert_false(plan.steps[1].tops_chain);
	/* A byte is worth an eighth of the second that each MiB has taken. */
	assert_true(fabs(plan.steps[1].score / (9 * 1.125 / (9 << 20) * PRUNE_SCORE_GIB_DAY) - 1) <
		    1e-9);
	assert_int_equal(plan.remaining_bytes, 1 << 20);
	prune_plan_free(&plan);
}

static void a_deep_chain_does_not_recurse_deeply(void **unused)
{
	(void)unused;
	size_t count = 200000;
	cleanup(free_ptr) struct prune_record *records = calloc(count, sizeof(*records));
	cleanup(free_ptr) double *losses = calloc(count, sizeof(*losses));
	cleanup(free_ptr) struct prune_block_step *steps = NULL;
	size_t step_count = 0;

	assert_true(records && losses);
	for (size_t i = 0; i < count; i++) {
		losses[i] = (double)(i % 7);
		records[i] = (struct prune_record){ .id = "x",
						    .parent = i ? i - 1 : PRUNE_NO_PARENT,
						    .size_bytes = 1 << 20,
						    .evictable = true };
	}
	assert_int_equal(prune_blocks_order(records, losses, count, &steps, &step_count), 0);
	assert_int_equal(step_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(steps[i].record, count - 1 - i);
}

static void a_million_records_are_planned(void **unused)
{
	(void)unused;
	size_t count = 1000000;
	cleanup(free_ptr) struct prune_record *records = calloc(count, sizeof(*records));
	const struct prune_goal goal = { .keep_bytes = (int64_t)count << 19 };
	struct prune_plan plan;
	struct error e = { 0 };

	assert_non_null(records);
	for (size_t i = 0; i < count; i++)
		records[i] = (struct prune_record){ .id = "x",
						    .parent = i % 10 ? i - 1 : PRUNE_NO_PARENT,
						    .size_bytes = 1 << 20,
						    .need_rate = (double)(i * 7919 % 1009),
						    .seconds = (double)(i % 13),
						    .evictable = true };
	assert_int_equal(prune_plan(records, count, &goal, &prune_scorer_forecast, &plan, &e), 0);
	assert_int_equal(plan.count, count / 2 + 1);
	prune_plan_free(&plan);
}

/* A record that is not kept longer stays behind one that is only when it lies below it. */
static void records_that_are_kept_longer_are_evicted_after_all_others(void **unused)
{
	(void)unused;
	static struct forest f;
	uint64_t seed = 99;

	for (unsigned round = 0; round < 4000; round++) {
		cleanup(free_ptr) struct prune_block_step *steps = NULL;
		bool gone[MOST] = { false }, any_kept = false;
		size_t count = 0;

		draw(&f, 1 + random_below(&seed, MOST), round % 2 == 0, &seed);
		/* As reads have it: what lies below a read record counts as read. */
		for (size_t i = 0; i < f.count; i++)
			if (random_below(&seed, 3) == 0)
				for (size_t at = i; at != PRUNE_NO_PARENT;
				     at = f.records[at].parent)
					f.records[at].kept_longer = true;
		assert_int_equal(prune_blocks_order(f.records, f.losses, f.count, &steps, &count),
				 0);
		for (size_t i = 0; i < count; i++) {
			const struct prune_record *r = &f.records[steps[i].record];

			any_kept |= r->kept_longer;
			assert_true(r->kept_longer || !any_kept);
			for (size_t k = 0; k < f.count; k++)
				assert_true(f.records[k].parent != steps[i].record || gone[k]);
			gone[steps[i].record] = true;
		}
	}
}

static void bytes_and_seconds_both_count_whatever_making_costs(void **unused)
{
	(void)unused;
	/* The same records on a host where all takes a thousand times as long: the same order. */
	const struct prune_record quick[] = {
		{ .size_bytes = 1 << 20, .need_rate = 1, .seconds = 1 },
		{ .size_bytes = 9 << 20, .need_rate = 1, .seconds = 2 }
	};
	struct prune_record slow[2];
	double a[2], b[2], c[2];

	for (size_t i = 0; i < 2; i++) {
		slow[i] = quick[i];
		slow[i].seconds *= 1000;
	}
	prune_score_losses(quick, 2, a);
	prune_score_losses(slow, 2, b);
	assert_true(fabs(a[1] / a[0] - b[1] / b[0]) < 1e-9);
	assert_true(a[1] / a[0] > 2);
	/* Without a known second, bytes alone count. */
	slow[0].seconds = slow[1].seconds = 0;
	prune_score_losses(slow, 2, c);
	assert_true(fabs(c[1] / c[0] - 9) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_equal_those_of_the_plain_method),
		cmocka_unit_test(children_are_evicted_first_and_protected_records_stay),
		cmocka_unit_test(no_other_order_has_later_losses),
		cmocka_unit_test(a_plan_by_blocks_stops_below_the_limit),
		cmocka_unit_test(a_deep_chain_does_not_recurse_deeply),
		cmocka_unit_test(a_million_records_are_planned),
		cmocka_unit_test(records_that_are_kept_longer_are_evicted_after_all_others),
		cmocka_unit_test(bytes_and_seconds_both_count_whatever_making_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
