/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_kept.h"

#include <errno.h>
#include <string.h>

#include "manager/snapshots/snapshot_keys.h"
#include "store/record_rows.h"

/* `other` has the chain of r, too. */
static bool is_usable(const struct record *r, const struct record *other)
{
	return other != r && !other->is_mutable && !other->layer->lazy;
}

/* Whether the chain will be found all the same: one layer of it is enough. */
static bool is_found_without(const struct manager *m, const struct record *r)
{
	const struct record *other =
		chain_index_first(record_graph_chains(m->graph), &r->content->chain_id);

	for (; other; other = chain_index_next(other))
		if (is_usable(r, other) && (m->share_namespaces || other->layer == r->layer))
			return true;
	return false;
}

bool snapshot_kept_is_wanted(const struct manager *m, const struct record *r,
			     const struct prune_disk *disk)
{
	manager_assert_locked(m);
	if (r->snapshot->kind != SNAPSHOT_COMMITTED || !r->content ||
	    strcmp(snapshot_keys_name(r->snapshot->key), r->content->chain_id.text) != 0)
		return false;
	if (r->first_child || r->pinned) /* it stays in any case */
		return true;
	return prune_keeping_may_keep(&m->keeping, disk, r->layer->allocated_bytes) &&
	       !is_found_without(m, r);
}

static int copy_labels(const struct record *from, struct record *to)
{
	for (size_t i = 0; i < from->label_count; i++) {
		int code = record_set_label(to, from->labels[i].key, from->labels[i].value);

		if (code < 0)
			return code;
	}
	return 0;
}

int snapshot_kept_draft(const struct manager *m, const struct record *r, struct record **ret_draft)
{
	cleanup(record_free) struct record *draft = record_new("", "", RECORD_TYPE_IMAGE_LAYER);
	cleanup(free_ptr) char *namespace = snapshot_keys_namespace(r->snapshot->key);

	manager_assert_locked(m);
	if (!draft || !namespace || copy_labels(r, draft) < 0 ||
	    record_set_label(draft, RECORD_LABEL_CHAIN_ID, r->content->chain_id.text) < 0 ||
	    record_set_label(draft, RECORD_LABEL_BLOB_CHAIN_ID, r->content->blob_chain_id.text) <
		    0 ||
	    record_set_label(draft, RECORD_LABEL_NAMESPACE, namespace) < 0)
		return -ENOMEM;
	*ret_draft = take_ptr(draft);
	return 0;
}

void snapshot_kept_add_rows(struct change_set *c, const struct record *r,
			    const struct record *draft)
{
	record_rows_set_type(c, r->id, draft->type);
	record_rows_delete_labels(c, r->id);
	record_rows_add_labels(c, r->id, draft->labels, draft->label_count);
}

void snapshot_kept_publish(struct manager *m, struct record *r, struct record *draft)
{
	const char *type = r->type;

	manager_assert_locked(m);
	r->type = draft->type;
	draft->type = type;
	record_swap_labels(r, draft);
	atomic_store(&m->kept_grew, true);
}
