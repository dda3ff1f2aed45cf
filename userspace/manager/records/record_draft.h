/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that are not in the database yet: their texts are checked, they are built, they take
 * their place in the graph, and are taken back when they cannot be finished.
 */
#pragma once

#include "manager/state/manager_state.h"

struct record_options {
	const char *parent; /* "" or NULL: none */
	const char *description;
	const char *type; /* "" or NULL: regular */
	bool retain;
	int64_t created_ns; /* 0: now */
	const struct record_label *labels;
	size_t label_count;
	const char *const *image_refs;
	size_t image_ref_count;
	/* How its mounts show owners, see base/id_map.h; NULL or "": as the lease's map says, if it
	 * has one. */
	const char *uid_map, *gid_map;
	const atomic_bool *cancelled; /* what the parent's layers lack may take long; may be NULL */
};

/* Whether the texts, labels and the type may be a record's. -EINVAL. */
int record_draft_check(const struct record_options *o, struct error *e);
/* Whether a client may set or remove a label with this key. */
int record_draft_check_label_key(const char *key, struct error *e);
int record_draft_check_labels(const struct record_label *labels, size_t count, struct error *e);
int record_draft_check_texts(const char *description, const char *type, const char *image_ref,
			     struct error *e);

/* A mutable record with an id of its own, in no graph yet; `map`: NULL for none. NULL: no memory.
 */
struct record *record_draft_build(const struct record_options *options, const struct id_map *map);

/* With the lock: the parent of a new record, finalized; gives the lock back while it is finalized.
 */
int record_draft_find_parent(struct manager *m, const char *id, struct record **ret_parent,
			     struct error *e);

/* With the lock. A layer on top of the parent's must be possible: -EMFILE. */
int record_draft_check_depth(const struct record *parent, struct error *e);

/* With the lock: takes the record into the graph, not yet to be found, with its layer and hold.
 * `layer_name`: of the layer; "": a new name. */
int record_draft_insert(struct manager *m, struct record **r, struct record *parent,
			struct lease *l, const char *layer_name, struct error *e);

/* Takes back a record that could not be finished; what cannot be taken back now is found by
 * recover, since no row says that it is live. `unmade`: a mount of which there are rows only, or
 * NULL. Without the lock. */
void record_draft_undo(struct manager *m, struct record *r, const struct mount *unmade, bool files);
