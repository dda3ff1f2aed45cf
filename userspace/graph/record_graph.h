/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All records and layers of a store and the links between them: parents, children, twins, owners
 * of a layer. Pure memory; callers serialise. A record with children cannot be removed.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/chain_index.h"
#include "graph/record.h"

struct record_graph;

struct record_graph *record_graph_new(void);
/* Frees every record and layer in it. */
void record_graph_free(struct record_graph *g);
DEFINE_CLEANUP(struct record_graph *, record_graph_free)

/* Takes the record; its parent and its layer (both may be shared, the parent may be NULL) are
 * linked. -EEXIST, -ENOMEM; -ELOOP when the parent chain would contain the record. */
int record_graph_insert(struct record_graph *g, struct record *r, struct record *parent,
			struct layer *layer);
/* Links a record of the graph that has no parent yet. The parent's chain does not contain it. */
void record_graph_set_parent(struct record *r, struct record *parent);
/* Before many insertions: makes room for so many records, of which so many have chain ids, and for
 * so many layers. -ENOMEM. */
int record_graph_reserve(struct record_graph *g, size_t records, size_t chains, size_t layers);
/* Unlinks and frees a record without children; and its layer when it has no other owner. */
void record_graph_remove(struct record_graph *g, struct record *r);
/* Replaces what the record of this graph has as content, and frees that; takes the new one. */
void record_graph_set_content(struct record_graph *g, struct record *r,
			      struct record_content *content);
const struct chain_index *record_graph_chains(const struct record_graph *g);
void record_graph_pair(struct record *immutable, struct record *mutable_half);

struct layer *record_graph_add_layer(struct record_graph *g, const char *name);
struct layer *record_graph_find_layer(const struct record_graph *g, const char *name);
/* Frees a layer that has no owners. */
void record_graph_remove_layer(struct record_graph *g, struct layer *layer);
struct layer *record_graph_next_layer(const struct record_graph *g, size_t *position);

/* Any state, exact id. */
struct record *record_graph_find(const struct record_graph *g, const char *id);
/* A live record by its id, or by a unique prefix of 4 characters or more.
 * -ENOENT; -EINVAL: the prefix is shared by several. */
int record_graph_resolve(const struct record_graph *g, const char *id, struct record **ret_record,
			 struct error *e);
struct record *record_graph_next(const struct record_graph *g, size_t *position);
size_t record_graph_count(const struct record_graph *g);
size_t record_graph_layer_count(const struct record_graph *g);

/* How many layers a mount on top of r has: r and all its ancestors. */
size_t record_graph_depth(const struct record *r);
