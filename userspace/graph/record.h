/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record, a layer, a lease and a hold are. Plain records: record_graph.c keeps the links
 * between them right, manager/ holds the lock. Times are wall clock nanoseconds, 0 means never;
 * sizes are bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/id_map.h"
#include "graph/record_content.h"

#define RECORD_ID_LENGTH 25
#define LAYER_NAME_LENGTH 6 /* so that 500 of them fit into one page of mount options */
#define LAYER_COUNTERS 14 /* in the order of enum usage_counter */

/* Never changes in meaning: it is what the database holds. */
enum record_state {
	RECORD_CREATING, /* row written, layer not complete yet */
	RECORD_LIVE,
};

/* Clients cannot set or remove labels whose keys start with this: the agent writes them. */
#define RECORD_LABEL_RESERVED "varve."
/* The type of a layer that containerd has removed, and that is kept as a cache. */
#define RECORD_TYPE_IMAGE_LAYER "image.layer"
/* They show a record's chain ids to filters; the agent itself reads struct record_content. */
#define RECORD_LABEL_CHAIN_ID "varve.chain-id"
#define RECORD_LABEL_BLOB_CHAIN_ID "varve.blob-chain-id"
/* The namespace of containerd that a kept layer was a snapshot in. */
#define RECORD_LABEL_NAMESPACE "varve.namespace"

struct record_label {
	char *key, *value;
};

/* What containerd, the agent and the like read in a layer, which is not a use of it. */
struct layer_upkeep {
	uint64_t opens, reads, read_bytes;
	int64_t last_ns;
};

/* How often and when a layer was used. */
struct layer_uses {
	uint64_t uses;
	int64_t first_ns, last_ns; /* reads: opens for reading, execs, reads and mappings */
	int64_t last_write_ns;
};

/* What the kernel counted in a layer, folded over all overlays that it was ever part of. Most
 * layers of a large store have none of it, so that it has memory of its own. */
struct layer_counts {
	uint64_t counters[LAYER_COUNTERS];
	struct layer_upkeep upkeep;
};

/* A copy of both. */
struct layer_access {
	struct layer_uses when;
	struct layer_counts counts;
};

struct layer {
	char name[LAYER_NAME_LENGTH + 1];
	bool lazy; /* no files yet: they are extracted from the blob at the first use */
	unsigned owners; /* records that share it: twins, or records of one chain id */
	unsigned lingering; /* superblocks that have it, and that the agent has unmounted */
	struct record *first_owner; /* of the owners; see next_owner */
	bool size_known; /* the sizes are of now */
	bool measured; /* the sizes are of some time */
	bool handed_out; /* clients may have it in mounts of their own */
	bool elsewhere; /* it was in one when mount_elsewhere_find() looked; scratch */
	bool dirty; /* not in the database as it is here */
	bool unwritten; /* the disk did not write all of its files, as the kernel says only once */
	uint64_t upper_changes; /* grows with whatever may change the size; tells a walk it was late
				 */
	int64_t allocated_bytes, apparent_bytes, inodes;
	int64_t last_container_ns; /* when a container that is made of it began or ended */
	struct layer_uses access;
	struct layer_counts *counts; /* NULL: all are 0; layer_counts_make() makes them */
};

struct lease;

/* The refs that one lease has on one record. */
struct hold {
	struct lease *lease;
	struct record *record;
	unsigned refs;
	unsigned counting_refs; /* of these, the ones whose release counts as a use */
	struct hold *next_of_record, *next_of_lease, *previous_of_lease;
};

struct lease {
	char *name;
	/* External references: ids, chain ids and blob chain ids that the owner of the lease
	 * uses without holding them. The records that they name are shared. Sorted, unique. */
	char **references;
	size_t reference_count;
	struct id_map id_map; /* for records that are made and mounted through it; may be unset */
	int64_t created_ns;
	int64_t expires_ns;
	uint64_t connection; /* of an ephemeral lease; 0: kept in the database */
	unsigned users; /* operations that work with it; it must not be freed under them */
	bool hidden; /* being made or removed: its name is taken, but lookups skip it */
	struct hold *holds;
};

/* As containerd numbers them. */
enum snapshot_kind {
	SNAPSHOT_VIEW = 1, /* read-only, on top of a committed one */
	SNAPSHOT_ACTIVE, /* writable */
	SNAPSHOT_COMMITTED,
};

/* What containerd knows of a record. Its labels are the record's. */
struct snapshot {
	char *key; /* by which containerd calls it; of a committed one its name */
	enum snapshot_kind kind;
	int64_t created_ns, updated_ns;
	int64_t size_bytes, inodes; /* of a committed one, when it was committed; else 0 */
	int64_t root_ctime_ns; /* of the root of an active one's layer, when new; 0: not known */
	/* What the agent has unpacked into an active one, without chain ids, and when that was
	 * done; NULL: nothing, or by an agent before this one. */
	struct record_content *unpacked;
	int64_t unpacked_ns;
	struct record *record;
};

struct record {
	char id[RECORD_ID_LENGTH + 1];
	enum record_state state;
	bool is_mutable;
	bool retain;
	bool pinned; /* neither prune nor rm may take it; a pin on one half of a twin is on both */
	bool shared; /* an external reference names it or a descendant; scratch, as `marked` */
	bool busy; /* reserved by a slow operation, which works on it without the lock */
	bool marked; /* scratch of one pass over the graph */
	struct record *parent, *first_child, *previous_sibling, *next_sibling;
	/* A committed record and the mutable one that still owns the data: each other. While the
	 * immutable half has refs, the mutable one counts as held. */
	struct record *twin;
	struct layer *layer;
	struct record *next_owner; /* of the layer */
	struct hold *holds;
	unsigned refs; /* of all holds */
	bool mounted_while_held; /* since the first of the present refs */
	struct mount *mount; /* manager/'s; NULL when not mounted */
	struct id_map id_map; /* how its mounts show owners; not set: as its layers have them */
	struct snapshot *snapshot; /* the record's own; NULL: containerd does not know it */

	char *description;
	const char *type; /* of record_type_copy() */
	struct record_label *labels;
	size_t label_count;
	char **image_refs;
	size_t image_ref_count;
	/* NULL: it has no digest yet. Of a record in a graph, record_graph_set_content() sets it.
	 */
	struct record_content *content;
	struct record *next_of_chain, *previous_of_chain; /* chain_index.c's */
	unsigned extractions; /* under way, of its chain: it must stay meanwhile */
	int64_t created_ns;
	/* Uses by refs that never mounted it; those by access are the layer's. */
	uint64_t hits;
	int64_t last_hit_ns;
	/* As BuildKit counts: releases of the last use-counting ref. */
	uint64_t ref_uses;
	int64_t last_ref_use_ns;
};

/* Whether clients read and write the record's layer past every overlay, so that nothing can be
 * counted: an active snapshot without a parent is a bind mount of its layer, if the agent has not
 * mounted it. */
static inline bool record_is_uncounted(const struct record *r)
{
	return r->snapshot && r->snapshot->kind == SNAPSHOT_ACTIVE && !r->parent && !r->mount;
}

/* Whether a record that cannot be written has the layer. */
static inline bool layer_is_committed(const struct layer *layer)
{
	for (const struct record *r = layer->first_owner; r; r = r->next_owner)
		if (!r->is_mutable)
			return true;
	return false;
}

static inline uint64_t layer_counter(const struct layer *layer, int counter)
{
	return layer->counts ? layer->counts->counters[counter] : 0;
}

struct layer_access layer_access(const struct layer *layer);
/* The layer's, to be changed; NULL: no memory. */
struct layer_counts *layer_counts_make(struct layer *layer);
void layer_free(struct layer *layer);
DEFINE_CLEANUP(struct layer *, layer_free)

/* At a commit: reads by the client that filled the layer were not uses of what it has become. */
static inline void layer_forget_uses(struct layer *layer)
{
	layer->access.uses = 0;
	layer->access.first_ns = layer->access.last_ns = 0;
	layer->dirty = true;
}

/* The numbers that people and the default scorer see. */
static inline uint64_t record_usage_count(const struct record *r)
{
	return r->hits + r->layer->access.uses;
}

static inline int64_t record_last_used_ns(const struct record *r)
{
	int64_t access = r->layer->access.last_ns;

	return r->last_hit_ns > access ? r->last_hit_ns : access;
}

/* A record outside any graph; NULL when out of memory. The texts are copied. */
struct record *record_new(const char *id, const char *description, const char *type);
void record_free(struct record *r);
DEFINE_CLEANUP(struct record *, record_free)
void snapshot_free(struct snapshot *s);
const char *snapshot_kind_name(const struct snapshot *s); /* "view"; of NULL "" */
DEFINE_CLEANUP(struct snapshot *, snapshot_free)
int record_set_label(struct record *r, const char *key, const char *value);
/* The text of a type, which is never copied when it is one of those that clients can choose. NULL:
 * no memory. */
const char *record_type_copy(const char *type);
void record_type_free(const char *type);
void record_swap_labels(struct record *a, struct record *b);
void record_labels_free(struct record_label *labels, size_t count);
bool record_has_image_ref(const struct record *r, const char *ref);
/* Appends an image reference that is not there yet. */
int record_add_image_ref(struct record *r, const char *ref);

/* The lowest record of the chain whose layer has no files; NULL: all have. Those between it and
 * the record need not be lazy. */
struct record *record_lowest_lazy(struct record *r);
