/* SPDX-License-Identifier: Apache-2.0 */
/* What containerd asks about snapshots, and changes of their labels. */
#pragma once

#include "manager/state/manager_state.h"

struct snapshot_view {
	char *name, *parent; /* "" : none */
	enum snapshot_kind kind;
	int64_t created_ns, updated_ns;
	struct record_label *labels;
	size_t label_count;
	bool is_known; /* it is certainly the chain that its label says: see snapshot_known.h */
	void *memory; /* what has the texts and the labels */
};

int snapshot_view_stat(struct manager *m, const char *key, struct snapshot_view *ret_view,
		       struct error *e);

/* `paths`: "labels" or "labels.KEY"; none means "labels". Anything else is -EINVAL. */
int snapshot_view_update(struct manager *m, const char *key, const char *const *paths,
			 size_t path_count, const struct record_label *labels, size_t label_count,
			 struct snapshot_view *ret_view, struct error *e);

/* In the order of their names. With filters, those whose content is known come first, the newest
 * at the beginning: of several snapshots that are labelled as a chain, containerd takes the first
 * one. */
int snapshot_view_list(struct manager *m, const char *const *filters, size_t filter_count,
		       const atomic_bool *cancelled, struct snapshot_view **ret_views,
		       size_t *ret_count, struct error *e);
void snapshot_view_free(struct snapshot_view *v); /* what it points to */
void snapshot_views_free(struct snapshot_view *views, size_t count);

/* Of an active one as it is now, of a committed one as it was committed, of a view nothing. */
int snapshot_view_usage(struct manager *m, const char *key, const atomic_bool *cancelled,
			int64_t *ret_bytes, int64_t *ret_inodes, struct error *e);
