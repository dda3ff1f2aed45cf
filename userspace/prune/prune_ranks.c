/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune_ranks.h"

#include <errno.h>
#include <stdlib.h>

static int compare_values(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

int prune_ranks_init(struct prune_ranks *r, uint64_t *values, size_t count)
{
	size_t blocks;

	*r = (struct prune_ranks){ .value = values };
	if (count > 0)
		qsort(values, count, sizeof(*values), compare_values);
	for (size_t i = 0; i < count; i++)
		if (values[i] > 0 && (r->values == 0 || values[r->values - 1] != values[i]))
			values[r->values++] = values[i];

	blocks = r->values / PRUNE_RANKS_BLOCK + 1;
	r->members = calloc(r->values + 1, sizeof(*r->members));
	r->in_block = calloc(r->values + 1, sizeof(*r->in_block));
	r->before_block = calloc(blocks, sizeof(*r->before_block));
	r->before_group = calloc(blocks / PRUNE_RANKS_BLOCK + 1, sizeof(*r->before_group));
	if (!r->members || !r->in_block || !r->before_block || !r->before_group) {
		prune_ranks_free(r);
		return -ENOMEM;
	}
	return 0;
}

void prune_ranks_free(struct prune_ranks *r)
{
	free(r->value);
	free(r->members);
	free(r->in_block);
	free(r->before_block);
	free(r->before_group);
	*r = (struct prune_ranks){ 0 };
}

uint32_t prune_ranks_index(const struct prune_ranks *r, uint64_t value)
{
	const uint64_t *found;

	if (value == 0)
		return 0;
	found = bsearch(&value, r->value, r->values, sizeof(value), compare_values);
	return (uint32_t)(found - r->value) + 1;
}

static size_t end_of(size_t index, size_t limit)
{
	size_t end = (index / PRUNE_RANKS_BLOCK + 1) * PRUNE_RANKS_BLOCK;

	return end < limit ? end : limit;
}

/* Adds 1 or -1 to all sums that the value is part of; the unsigned types wrap as they should. */
static void shift_sums(struct prune_ranks *r, size_t index, int change)
{
	size_t block = index / PRUNE_RANKS_BLOCK, blocks = r->values / PRUNE_RANKS_BLOCK + 1;
	size_t group = block / PRUNE_RANKS_BLOCK, groups = blocks / PRUNE_RANKS_BLOCK + 1;

	for (size_t i = index; i < end_of(index, r->values + 1); i++)
		r->in_block[i] += (uint8_t)change;
	for (size_t i = block + 1; i < end_of(block, blocks); i++)
		r->before_block[i] += (uint16_t)change;
	for (size_t i = group + 1; i < groups; i++)
		r->before_group[i] += (uint32_t)change;
	r->distinct += (size_t)change;
}

void prune_ranks_add(struct prune_ranks *r, uint32_t index)
{
	if (index > 0 && r->members[index]++ == 0)
		shift_sums(r, index, 1);
}

void prune_ranks_remove(struct prune_ranks *r, uint32_t index)
{
	if (index > 0 && --r->members[index] == 0)
		shift_sums(r, index, -1);
}
