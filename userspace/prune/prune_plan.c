/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain method ranks and sorts all candidates again for every deletion, which grows with the
 * square of their number and worse. Here the records are sorted once, by size class, then count,
 * then the tie-breaks, and each class has a tournament tree over them that knows the oldest last
 * use below every node. Ranks change all the time, but their order does not, so that
 * - a record is beaten by any of its class that has no higher count and no later last use: what
 *   remains is the staircase of records that are each older than all before them;
 * - no record below a node can score less than the node's oldest last use with its lowest count.
 * Both prune the search to some dozens of nodes for a deletion, even where nearly all counts
 * differ. The worst case is a store in which the records that are used most were used
 * the longest time ago.
 *
 * Where a scorer gives records a worth of their own, they are sorted by it, and the first one that
 * is a candidate is evicted.
 *
 * Scores are floating point and still come out as by the plain method: they are the same
 * operations on the same ranks, and each of these operations is monotone under rounding.
 */
#include "prune/prune_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/cleanup.h"
#include "prune/prune_blocks.h"
#include "prune/prune_ranks.h"

#define ABSENT UINT32_MAX /* no record below the node is a candidate */

/* One size class: a part of `sorted` and the tree over it. */
struct class_tree {
	size_t first; /* in `sorted` */
	size_t count;
	size_t leaves; /* a power of two */
	uint32_t *oldest; /* nodes from 1; the leaves start at `leaves`: indices of last uses */
	double size_term;
};

/* What the planner computes once for an evictable record. */
struct entry {
	size_t record;
	uint64_t last_used, usage;
	uint32_t last_used_index, usage_index; /* in the ranks */
	unsigned size_class;
	double worth; /* the worth that the scorer gives it, which alone decides; 0 if the scorer
			 gives none */
};

struct planner {
	const struct prune_record *records;
	size_t count;
	const struct prune_scorer *scorer;
	struct entry *sorted; /* the evictable records */
	size_t sorted_count;
	uint32_t *place; /* of a record in `sorted`, or ABSENT */
	uint32_t *children; /* number of children that are not evicted */
	struct prune_ranks last_used, usage; /* of the candidates */
	struct class_tree *classes;
	uint32_t *nodes; /* the nodes of all trees */
};

/* The best candidate so far. */
struct choice {
	const struct entry *entry; /* NULL: none */
	double score;
};

static void planner_free(struct planner *p)
{
	free(p->sorted);
	free(p->place);
	free(p->children);
	prune_ranks_free(&p->last_used);
	prune_ranks_free(&p->usage);
	free(p->classes);
	free(p->nodes);
}
DEFINE_CLEANUP_VALUE(struct planner, planner_free)

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* The order among equal scores. */
static int compare_ties(const struct prune_record *records, const struct entry *a,
			const struct entry *b)
{
	const struct prune_record *left = &records[a->record], *right = &records[b->record];
	int order = compare_u64(a->last_used, b->last_used);

	if (order)
		return order;
	if (left->created_ns != right->created_ns)
		return left->created_ns > right->created_ns ? 1 : -1;
	order = strcmp(left->id, right->id);
	return order ? order : compare_u64(a->record, b->record);
}

static int compare_entries(const void *a, const void *b, void *records)
{
	const struct entry *left = a, *right = b;
	int order = compare_u64(left->size_class, right->size_class);

	if (order)
		return order;
	order = compare_u64(left->usage, right->usage);
	return order ? order : compare_ties(records, left, right);
}

static int compare_worth(const void *a, const void *b, void *records)
{
	const struct entry *left = a, *right = b;
	int order = (left->worth > right->worth) - (left->worth < right->worth);

	return order ? order : compare_ties(records, left, right);
}

static double ratio(size_t rank, size_t ranks)
{
	return ranks ? (double)rank / (double)ranks : 0;
}

static double score_of(const struct planner *p, uint32_t last_used_index, uint32_t usage_index,
		       double size_term)
{
	return ratio(prune_ranks_upto(&p->last_used, last_used_index), p->last_used.distinct) +
	       ratio(prune_ranks_upto(&p->usage, usage_index), p->usage.distinct) + size_term;
}

/* Checks the records and adds up their sizes. */
static int check_records(const struct prune_record *records, size_t count, int64_t *ret_total,
			 struct error *e)
{
	int64_t total = 0;

	if (count >= ABSENT / 4)
		return error_set(e, -EOVERFLOW, "%zu records are too many for one plan", count);
	for (size_t i = 0; i < count; i++) {
		const struct prune_record *r = &records[i];

		if (r->parent != PRUNE_NO_PARENT && r->parent >= count)
			return error_set(
				e, -EINVAL,
				"the parent of record '%s' is not among the records to plan",
				r->id);
		if (r->size_bytes < 0)
			return error_set(e, -EINVAL, "the size of record '%s' is negative", r->id);
		if (!r->shared && __builtin_add_overflow(total, r->size_bytes, &total))
			return error_set(e, -EOVERFLOW, "all sizes together exceed 2^63 bytes");
	}
	*ret_total = total;
	return 0;
}

static int collect_entries(struct planner *p)
{
	p->sorted = calloc(p->count + 1, sizeof(*p->sorted));
	p->place = calloc(p->count + 1, sizeof(*p->place));
	p->children = calloc(p->count + 1, sizeof(*p->children));
	if (!p->sorted || !p->place || !p->children)
		return -ENOMEM;

	for (size_t i = 0; i < p->count; i++) {
		const struct prune_record *r = &p->records[i];

		if (r->parent != PRUNE_NO_PARENT)
			p->children[r->parent]++;
		p->place[i] = ABSENT;
		if (!r->evictable)
			continue;
		p->sorted[p->sorted_count++] = (struct entry){
			.record = i,
			.last_used = r->last_used_ns > 0 ? (uint64_t)r->last_used_ns : 0,
			.usage = r->usage_count,
			.size_class = p->scorer->size_class(prune_score_size(r)),
			.worth = p->scorer->worth ? p->scorer->worth(r) : 0,
		};
	}
	qsort_r(p->sorted, p->sorted_count, sizeof(*p->sorted),
		p->scorer->worth ? compare_worth : compare_entries,
		(void *)p->records); /* const is cast away; they only read */
	return 0;
}

static int index_ranks(struct planner *p)
{
	uint64_t *last_used = calloc(p->sorted_count + 1, sizeof(*last_used));
	uint64_t *usage = calloc(p->sorted_count + 1, sizeof(*usage));
	int code;

	if (!last_used || !usage) {
		free(last_used);
		free(usage);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->sorted_count; i++) {
		last_used[i] = p->sorted[i].last_used;
		usage[i] = p->sorted[i].usage;
	}
	code = prune_ranks_init(&p->last_used, last_used, p->sorted_count);
	if (code < 0) {
		free(usage);
		return code;
	}
	code = prune_ranks_init(&p->usage, usage, p->sorted_count);
	if (code < 0)
		return code;
	for (size_t i = 0; i < p->sorted_count; i++) {
		struct entry *entry = &p->sorted[i];

		entry->last_used_index = prune_ranks_index(&p->last_used, entry->last_used);
		entry->usage_index = prune_ranks_index(&p->usage, entry->usage);
		p->place[entry->record] = (uint32_t)i;
	}
	return 0;
}

static int plant_trees(struct planner *p)
{
	unsigned classes = p->scorer->size_classes;
	size_t nodes = 0;

	p->classes = calloc(classes, sizeof(*p->classes));
	if (!p->classes)
		return -ENOMEM;
	for (size_t i = 0; i < p->sorted_count; i++) {
		struct class_tree *c = &p->classes[p->sorted[i].size_class];

		if (c->count++ == 0)
			c->first = i;
	}
	for (unsigned i = 0; i < classes; i++) {
		struct class_tree *c = &p->classes[i];

		c->size_term = p->scorer->size_term(i);
		for (c->leaves = 1; c->leaves < c->count;)
			c->leaves *= 2;
		nodes += 2 * c->leaves;
	}

	p->nodes = malloc(nodes * sizeof(*p->nodes));
	if (!p->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < nodes; i++)
		p->nodes[i] = ABSENT;
	nodes = 0;
	for (unsigned i = 0; i < classes; i++) {
		p->classes[i].oldest = p->nodes + nodes;
		nodes += 2 * p->classes[i].leaves;
	}
	return 0;
}

static void set_leaf(struct class_tree *c, size_t leaf, uint32_t oldest)
{
	size_t node = c->leaves + leaf;

	c->oldest[node] = oldest;
	for (node /= 2; node > 0; node /= 2) {
		uint32_t left = c->oldest[2 * node], right = c->oldest[2 * node + 1];

		c->oldest[node] = left < right ? left : right;
	}
}

static void add_candidate(struct planner *p, uint32_t place)
{
	const struct entry *entry = &p->sorted[place];
	struct class_tree *c = &p->classes[entry->size_class];

	prune_ranks_add(&p->last_used, entry->last_used_index);
	prune_ranks_add(&p->usage, entry->usage_index);
	set_leaf(c, place - c->first, entry->last_used_index);
}

static void remove_candidate(struct planner *p, const struct entry *entry)
{
	struct class_tree *c = &p->classes[entry->size_class];

	prune_ranks_remove(&p->last_used, entry->last_used_index);
	prune_ranks_remove(&p->usage, entry->usage_index);
	set_leaf(c, (size_t)(entry - p->sorted) - c->first, ABSENT);
}

/*
 * Searches below a node, whose first leaf and number of leaves are given, for a better record than
 * *best. Records that are not older than *step do not count: the class has a record with that last
 * use already, and with a count that is not higher.
 */
static void search(const struct planner *p, const struct class_tree *c, size_t node, size_t leaf,
		   size_t width, uint32_t *step, struct choice *best)
{
	uint32_t oldest = c->oldest[node];
	const struct entry *first;
	double bound;

	if (oldest >= *step)
		return;
	first = &p->sorted[c->first + leaf];
	bound = score_of(p, oldest, first->usage_index, c->size_term);
	if (best->entry && bound > best->score) {
		*step = oldest;
		return;
	}
	if (width > 1) {
		search(p, c, 2 * node, leaf, width / 2, step, best);
		search(p, c, 2 * node + 1, leaf + width / 2, width / 2, step, best);
		return;
	}
	*step = oldest;
	if (!best->entry || bound < best->score || compare_ties(p->records, first, best->entry) < 0)
		*best = (struct choice){ .entry = first, .score = bound };
}

/* The first leaf of the tree that is a candidate. */
static struct choice choose_first(const struct planner *p)
{
	const struct class_tree *c = &p->classes[0];
	const struct entry *entry;
	size_t node = 1;

	if (c->oldest[node] == ABSENT)
		return (struct choice){ .entry = NULL };
	while (node < c->leaves)
		node = c->oldest[2 * node] != ABSENT ? 2 * node : 2 * node + 1;
	entry = &p->sorted[c->first + node - c->leaves];
	return (struct choice){ .entry = entry, .score = entry->worth };
}

static struct choice choose(const struct planner *p)
{
	struct choice best = { .entry = NULL };

	if (p->scorer->worth)
		return choose_first(p);

	for (unsigned i = 0; i < p->scorer->size_classes; i++) {
		const struct class_tree *c = &p->classes[i];
		uint32_t step = ABSENT;

		search(p, c, 1, 0, c->leaves, &step, &best);
	}
	return best;
}

static struct prune_step describe(const struct planner *p, const struct choice *choice)
{
	const struct entry *entry = choice->entry;

	if (p->scorer->worth)
		return (struct prune_step){ .record = entry->record, .score = choice->score };
	return (struct prune_step){
		.record = entry->record,
		.score = choice->score,
		.last_used_rank = prune_ranks_upto(&p->last_used, entry->last_used_index),
		.last_used_ranks = p->last_used.distinct,
		.usage_rank = prune_ranks_upto(&p->usage, entry->usage_index),
		.usage_ranks = p->usage.distinct,
		.size_term = p->classes[entry->size_class].size_term,
	};
}

static bool is_reached(const struct prune_goal *goal, const struct prune_plan *plan)
{
	return goal->keep_bytes != 0 && plan->remaining_bytes < goal->keep_bytes &&
	       plan->freed_inodes >= goal->free_inodes;
}

static void take(const struct prune_record *r, struct prune_plan *plan)
{
	if (r->shared)
		return;
	plan->freed_bytes += r->size_bytes;
	plan->remaining_bytes -= r->size_bytes;
	plan->freed_inodes += r->inodes;
}

static void evict(struct planner *p, const struct prune_goal *goal, struct prune_plan *plan)
{
	for (size_t i = 0; i < p->sorted_count; i++)
		if (p->children[p->sorted[i].record] == 0)
			add_candidate(p, (uint32_t)i);

	while (!is_reached(goal, plan) && !is_cancelled(goal->cancelled)) {
		struct choice choice = choose(p);
		const struct prune_record *r;

		if (!choice.entry)
			break;
		r = &p->records[choice.entry->record];
		plan->steps[plan->count++] = describe(p, &choice);
		take(r, plan);
		remove_candidate(p, choice.entry);
		if (r->parent != PRUNE_NO_PARENT && --p->children[r->parent] == 0 &&
		    p->place[r->parent] != ABSENT)
			add_candidate(p, p->place[r->parent]);
	}
}

/* Ranks and sorts, then evicts one after the other. */
static int plan_one_by_one(const struct prune_record *records, size_t count,
			   const struct prune_goal *goal, const struct prune_scorer *scorer,
			   struct prune_plan *plan)
{
	cleanup(planner_free) struct planner p = {
		.records = records,
		.count = count,
		.scorer = scorer,
	};

	if (collect_entries(&p) < 0 || index_ranks(&p) < 0 || plant_trees(&p) < 0)
		return -ENOMEM;
	plan->steps = calloc(p.sorted_count + 1, sizeof(*plan->steps));
	if (!plan->steps)
		return -ENOMEM;
	evict(&p, goal, plan);
	return 0;
}

static int plan_by_blocks(const struct prune_record *records, size_t count,
			  const struct prune_goal *goal, struct prune_plan *plan)
{
	cleanup(free_ptr) struct prune_block_step *steps = NULL;
	cleanup(free_ptr) double *losses = calloc(count + 1, sizeof(*losses));
	size_t step_count;
	int code;

	if (!losses)
		return -ENOMEM;
	prune_score_losses(records, count, losses);
	code = prune_blocks_order(records, losses, count, &steps, &step_count);
	if (code < 0)
		return code;
	plan->steps = calloc(step_count + 1, sizeof(*plan->steps));
	if (!plan->steps)
		return -ENOMEM;
	while (plan->count < step_count && !is_reached(goal, plan)) {
		const struct prune_block_step *step = &steps[plan->count];

		plan->steps[plan->count++] = (struct prune_step){
			.record = step->record,
			.score = step->density * PRUNE_SCORE_GIB_DAY,
			.block_records = step->block_records,
			.block_bytes = step->block_bytes,
			.tops_chain = step->tops_chain,
		};
		take(&records[step->record], plan);
	}
	return 0;
}

int prune_plan(const struct prune_record *records, size_t count, const struct prune_goal *goal,
	       const struct prune_scorer *scorer, struct prune_plan *ret_plan, struct error *e)
{
	cleanup(prune_plan_free) struct prune_plan plan = { 0 };
	int code;

	if (goal->keep_bytes < 0)
		return error_set(e, -EINVAL, "the number of bytes to keep is negative");
	code = check_records(records, count, &plan.remaining_bytes, e);
	if (code < 0)
		return code;
	code = scorer->by_blocks ? plan_by_blocks(records, count, goal, &plan)
				 : plan_one_by_one(records, count, goal, scorer, &plan);
	if (code < 0)
		return error_set(e, code, "no memory to plan with %zu records", count);
	code = cancellation_check(goal->cancelled, e);
	if (code < 0)
		return code;
	*ret_plan = plan;
	plan = (struct prune_plan){ 0 };
	return 0;
}

void prune_plan_free(struct prune_plan *plan)
{
	free(plan->steps);
	*plan = (struct prune_plan){ 0 };
}
