/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define NONE UINT32_MAX

/* A block is named by the record that it was made for, its last one. Blocks that lie above the same
 * record form a pairing heap with the densest at its root. */
struct block {
	double loss, bytes, density;
	bool kept_longer; /* one of its records is: then the block's order is that of such ones */
	uint32_t first, records; /* the list of its records, see `next` */
	uint32_t child, sibling; /* in the heap */
};

struct sequence {
	const struct prune_record *records;
	const double *losses; /* by record */
	size_t count;
	struct block *blocks; /* by record */
	uint32_t *next; /* of a record in its block's list; the block's own record is the last */
	uint32_t *children; /* that have not been looked at */
	uint32_t *heap; /* by record: the blocks above it; NONE: there are none */
	uint32_t *ready; /* records without such children: a stack */
	size_t ready_count;
	uint32_t *order; /* blocks that are not part of another one */
	size_t order_count;
};

static void sequence_free(struct sequence *s)
{
	free(s->blocks);
	free(s->next);
	free(s->children);
	free(s->heap);
	free(s->ready);
	free(s->order);
}
DEFINE_CLEANUP_VALUE(struct sequence, sequence_free)

static int sequence_init(struct sequence *s)
{
	size_t room = s->count + 1;

	s->blocks = calloc(room, sizeof(*s->blocks));
	s->next = calloc(room, sizeof(*s->next));
	s->children = calloc(room, sizeof(*s->children));
	s->heap = calloc(room, sizeof(*s->heap));
	s->ready = calloc(room, sizeof(*s->ready));
	s->order = calloc(room, sizeof(*s->order));
	return s->blocks && s->next && s->children && s->heap && s->ready && s->order ? 0 : -ENOMEM;
}

/* ---- the heap ---- */

/* Whether block a is evicted before block b. */
static bool is_before(const struct block *a, const struct block *b)
{
	return a->kept_longer != b->kept_longer ? b->kept_longer : a->density < b->density;
}

static uint32_t meld(struct sequence *s, uint32_t a, uint32_t b)
{
	uint32_t swap;

	if (a == NONE || b == NONE)
		return a == NONE ? b : a;
	if (is_before(&s->blocks[a], &s->blocks[b])) {
		swap = a;
		a = b;
		b = swap;
	}
	s->blocks[b].sibling = s->blocks[a].child;
	s->blocks[a].child = b;
	return a;
}

/* The heap without its root. */
static uint32_t pop(struct sequence *s, uint32_t root)
{
	uint32_t left = s->blocks[root].child, pairs = NONE, heap = NONE;

	while (left != NONE) {
		uint32_t right = s->blocks[left].sibling;
		uint32_t rest = right == NONE ? NONE : s->blocks[right].sibling;
		uint32_t pair;

		s->blocks[left].sibling = NONE;
		if (right != NONE)
			s->blocks[right].sibling = NONE;
		pair = meld(s, left, right);
		s->blocks[pair].sibling = pairs;
		pairs = pair;
		left = rest;
	}
	while (pairs != NONE) {
		uint32_t rest = s->blocks[pairs].sibling;

		s->blocks[pairs].sibling = NONE;
		heap = meld(s, heap, pairs);
		pairs = rest;
	}
	return heap;
}

/* ---- blocks ---- */

static void measure(struct block *b)
{
	b->density = b->loss / b->bytes;
}

/* The block of a record whose children have all been looked at. A block that is exactly as dense
 * joins, too: then the blocks above a record are all less dense than its own, and a sort by density
 * keeps the order. */
static void make_block(struct sequence *s, uint32_t record)
{
	const struct prune_record *r = &s->records[record];
	int64_t bytes = r->size_bytes > PRUNE_BLOCK_SMALLEST_BYTES ? r->size_bytes
								   : PRUNE_BLOCK_SMALLEST_BYTES;
	struct block *b = &s->blocks[record];
	uint32_t heap = s->heap[record];

	*b = (struct block){ .loss = s->losses[record],
			     .bytes = (double)bytes,
			     .kept_longer = r->kept_longer,
			     .first = record,
			     .records = 1,
			     .child = NONE,
			     .sibling = NONE };
	measure(b);
	while (heap != NONE && !is_before(&s->blocks[heap], b)) {
		struct block *above = &s->blocks[heap];

		b->loss += above->loss;
		b->bytes += above->bytes;
		b->records += above->records;
		b->kept_longer |= above->kept_longer;
		s->next[heap] = b->first;
		b->first = above->first;
		above->records = 0; /* it is no block of its own any more */
		measure(b);
		heap = pop(s, heap);
	}
	s->heap[record] = meld(s, heap, record);
}

/* The record's children have all been looked at. A parent of something that stays never becomes
 * ready, and stays, too. */
static void look_at(struct sequence *s, uint32_t record)
{
	size_t parent = s->records[record].parent;

	make_block(s, record);
	s->order[s->order_count++] = record;
	if (parent == PRUNE_NO_PARENT)
		return;
	s->heap[parent] = meld(s, s->heap[parent], s->heap[record]);
	if (--s->children[parent] == 0 && s->records[parent].evictable)
		s->ready[s->ready_count++] = (uint32_t)parent;
}

static void make_blocks(struct sequence *s)
{
	for (size_t i = 0; i < s->count; i++) {
		s->heap[i] = NONE;
		if (s->records[i].parent != PRUNE_NO_PARENT)
			s->children[s->records[i].parent]++;
	}
	for (size_t i = 0; i < s->count; i++)
		if (s->children[i] == 0 && s->records[i].evictable)
			s->ready[s->ready_count++] = (uint32_t)i;
	while (s->ready_count > 0)
		look_at(s, s->ready[--s->ready_count]);
}

static int compare_ties(const struct prune_record *a, const struct prune_record *b)
{
	int64_t x = a->last_used_ns > 0 ? a->last_used_ns : 0;
	int64_t y = b->last_used_ns > 0 ? b->last_used_ns : 0;

	if (x != y)
		return x < y ? -1 : 1;
	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns ? -1 : 1;
	return strcmp(a->id, b->id);
}

static int compare_blocks(const void *a, const void *b, void *sequence)
{
	const struct sequence *s = sequence;
	const struct block *x = &s->blocks[*(const uint32_t *)a];
	const struct block *y = &s->blocks[*(const uint32_t *)b];

	if (is_before(x, y) || is_before(y, x))
		return is_before(x, y) ? -1 : 1;
	return compare_ties(&s->records[x->first], &s->records[y->first]);
}

/* The bytes of a block, and whether each of its records lies on the next one. */
static int64_t sum_bytes(const struct sequence *s, const struct block *b, bool *ret_is_chain)
{
	int64_t bytes = 0;
	uint32_t record = b->first;

	*ret_is_chain = b->records > 1;
	for (uint32_t i = 0; i < b->records; i++, record = s->next[record]) {
		bytes += s->records[record].size_bytes;
		if (i + 1 < b->records && s->records[record].parent != s->next[record])
			*ret_is_chain = false;
	}
	return bytes;
}

static size_t list_steps(const struct sequence *s, struct prune_block_step *steps)
{
	size_t count = 0;

	for (size_t i = 0; i < s->order_count; i++) {
		const struct block *b = &s->blocks[s->order[i]];
		bool is_chain;
		int64_t bytes = sum_bytes(s, b, &is_chain);
		uint32_t record = b->first;

		for (uint32_t k = 0; k < b->records; k++, record = s->next[record])
			steps[count++] = (struct prune_block_step){
				.record = record,
				.density = b->density,
				.block_records = b->records,
				.block_bytes = bytes,
				.tops_chain = k == 0 && is_chain,
			};
	}
	return count;
}

int prune_blocks_order(const struct prune_record *records, const double *losses, size_t count,
		       struct prune_block_step **ret_steps, size_t *ret_count)
{
	cleanup(sequence_free) struct sequence s = { .records = records,
						     .losses = losses,
						     .count = count };
	size_t whole = 0;

	if (sequence_init(&s) < 0)
		return -ENOMEM;
	make_blocks(&s);
	for (size_t i = 0; i < s.order_count; i++)
		if (s.blocks[s.order[i]].records > 0)
			s.order[whole++] = s.order[i];
	s.order_count = whole;
	qsort_r(s.order, s.order_count, sizeof(*s.order), compare_blocks, &s);

	*ret_steps = calloc(count + 1, sizeof(**ret_steps));
	if (!*ret_steps)
		return -ENOMEM;
	*ret_count = list_steps(&s, *ret_steps);
	return 0;
}
