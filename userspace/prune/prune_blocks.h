/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: the order in which records go when each has a loss of its own and children go before their
 * parents, which loses least for every byte freed (Horn, "Single-Machine Job Sequencing with
 * Treelike Precedence Ordering and Linear Delay Penalties", 1972). Records are put together in
 * blocks: while a record loses less for each byte than the densest block above it, the two are one
 * block, so that a cheap parent makes what stands in its way go earlier. Blocks go in the order of
 * their density, which is their score; those with a record that is kept longer go after the others.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "prune/prune_record.h"

struct prune_block_step {
	size_t record; /* index */
	double density; /* of its block: seconds that are lost in each second, for each byte */
	size_t block_records; /* that go together */
	int64_t block_bytes;
	bool tops_chain; /* the rest of the block lies below it */
};

/* Smaller records count as this large, so that empty ones have a density. */
#define PRUNE_BLOCK_SMALLEST_BYTES 4096

/* `losses` are those of the records. The steps of all evictable records whose children are all
 * evictable, too; ties as in prune_plan. The parents must be indices below count and without a
 * circle. -ENOMEM. The caller frees the steps. */
int prune_blocks_order(const struct prune_record *records, const double *losses, size_t count,
		       struct prune_block_step **ret_steps, size_t *ret_count);
