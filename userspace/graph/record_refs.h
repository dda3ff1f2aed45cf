/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases and the refs that they hold on records. A hold lives while it has refs. Pure memory;
 * callers serialise. What a release means for a record's life is decided in manager/.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/hashmap.h"
#include "graph/record.h"
#include "graph/record_graph.h"

struct lease *lease_new(const char *name, int64_t created_ns, int64_t expires_ns,
			uint64_t connection);
/* Only without holds. */
void lease_free(struct lease *l);
DEFINE_CLEANUP(struct lease *, lease_free)
void lease_free_references(char **references, size_t count);

struct hold *record_refs_find(const struct record *r, const struct lease *l);
/* Adds refs; `counting`: their release counts as a use. -ENOMEM. */
int record_refs_add(struct record *r, struct lease *l, unsigned refs, unsigned counting);
/* Drops one ref of the lease, a counting one first. Returns whether the record has now lost its
 * last use-counting ref by it; -ENOENT when the lease holds none. */
int record_refs_drop(struct record *r, struct lease *l);
/* Ends all holds of the record, without counting a use. */
void record_refs_clear(struct record *r);

/* Held by a lease, or the mutable half of a twin that is held. */
static inline bool record_is_held(const struct record *r)
{
	return r->refs > 0 || (r->is_mutable && r->twin && r->twin->refs > 0);
}

/* Sets `marked` on every record that is in use: that has refs beyond those that its unheld children
 * hold, which is to say that it or a descendant is held. Clears it on all others. */
void record_refs_mark_in_use(struct record_graph *g);

/* Sets `shared` on every record that a lease refers to by its id, its chain id or its blob chain
 * id, and on all ancestors of such a record; clears it on all others. -ENOMEM. */
int record_refs_mark_shared(struct record_graph *g, const struct hashmap *leases);

/* Both of the above, in one pass over the records: for passes that are made often. -ENOMEM. */
int record_refs_mark(struct record_graph *g, const struct hashmap *leases);

static inline bool record_is_pinned(const struct record *r)
{
	return r->pinned || (r->twin && r->twin->pinned);
}

/* Of twins exactly one is listed: the immutable while it has refs, else the mutable. */
static inline bool record_is_listed(const struct record *r)
{
	if (r->state != RECORD_LIVE)
		return false;
	if (!r->twin)
		return true;
	return r->is_mutable ? r->twin->refs == 0 : r->refs > 0;
}
