/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of each chain id, so that a chain is found without a look at every record. Intrusive:
 * adding a record cannot fail. record_graph.c keeps it right; callers serialise.
 */
#pragma once

#include "base/digest.h"
#include "graph/record.h"

struct chain_index {
	struct record **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
};

int chain_index_init(struct chain_index *x); /* -ENOMEM */
void chain_index_free(struct chain_index *x); /* what it points to */

/* Makes room for so many records at once, if there is memory. */
void chain_index_reserve(struct chain_index *x, size_t count);

/* A record without content, or whose content has no chain id, is left out. */
void chain_index_add(struct chain_index *x, struct record *r);
/* While the record still has the content that it was added with. */
void chain_index_remove(struct chain_index *x, struct record *r);

/* In no order; NULL: none. */
struct record *chain_index_first(const struct chain_index *x, const struct digest *chain);
/* The next one of the same chain. */
struct record *chain_index_next(const struct record *r);
