/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense ranks within a changing multiset, whose possible values are known from the start. Values
 * are named by their index; index 0 is the value 0, which means none and has always rank 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PRUNE_RANKS_BLOCK 64 /* values in a block, and blocks in a group */

/* How many distinct values are present is kept as sums on three levels: a rank is read with three
 * additions, which the planner does all the time; adding or removing a value takes some hundred. */
struct prune_ranks {
	size_t values; /* possible ones but 0; they have the indices 1..values */
	uint64_t *value; /* value[i - 1] is the one with index i, ascending */
	uint32_t *members; /* how many members have this value */
	size_t distinct; /* values other than 0 that are present */
	uint8_t *in_block; /* present in the value's block, up to and including the value */
	uint16_t *before_block; /* present in the block's group before the block */
	uint32_t *before_group; /* present before the group */
};

/* From all values that may ever be members, in any order. The array is used up: the ranks own it
 * and free it, also on failure. -ENOMEM. */
int prune_ranks_init(struct prune_ranks *r, uint64_t *values, size_t count);
void prune_ranks_free(struct prune_ranks *r); /* what it points to */

uint32_t prune_ranks_index(const struct prune_ranks *r, uint64_t value);
void prune_ranks_add(struct prune_ranks *r, uint32_t index);
void prune_ranks_remove(struct prune_ranks *r, uint32_t index);
/* How many distinct values other than 0 are present up to and including this one. */
static inline size_t prune_ranks_upto(const struct prune_ranks *r, uint32_t index)
{
	size_t block = index / PRUNE_RANKS_BLOCK;

	return r->in_block[index] + r->before_block[block] +
	       r->before_group[block / PRUNE_RANKS_BLOCK];
}
