/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers fall back to lazy: their files go, their records stay. Database: lazy, durably → files to
 * the trash; a lazy layer that has files is cleared at start.
 */
#include "manager/content/content_lazy.h"

#include <errno.h>
#include <string.h>

#include "graph/record_content.h"
#include "manager/content/content_blobs.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"

/* With the lock: nothing above it has files, or is getting some. What is above a layer could be
 * mounted only with files of its own. */
static bool is_unneeded(const struct record *r)
{
	if (r->extractions > 0)
		return false;
	for (const struct record *c = r->first_child; c; c = c->next_sibling)
		if (!c->layer->lazy || c->busy || !is_unneeded(c))
			return false;
	return true;
}

/* Another record may have the layer, too. */
static bool is_unneeded_by_all(struct manager *m, const struct record *r)
{
	const struct record *other;
	size_t at = 0;

	if (r->layer->owners == 1)
		return is_unneeded(r);
	while ((other = record_graph_next(m->graph, &at)))
		if (other->layer == r->layer && (other->twin || !other->content || other->mount ||
						 other->busy || !is_unneeded(other)))
			return false;
	return true;
}

bool content_lazy_could_be_made(struct manager *m, const struct record *r)
{
	manager_assert_locked(m);
	return r->content && !r->twin && !r->snapshot && !r->layer->lazy &&
	       (record_content_has_source(r->content) || content_blobs_has(m, &r->content->blob));
}

bool content_lazy_may_fall_back(struct manager *m, const struct record *r)
{
	manager_assert_locked(m);
	return content_lazy_could_be_made(m, r) && is_unneeded_by_all(m, r);
}

int content_lazy_fall_back(struct manager *m, struct record *const *records, size_t count,
			   struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code;

	for (size_t i = 0; i < count; i++) {
		layer_rows_set_lazy(&c, records[i]->layer->name, true);
		layer_rows_forget_files(&c, records[i]->layer->name);
	}
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;
	/* From here on they have no files, whatever is still to be seen of them; while they are
	 * reserved nobody looks. */
	for (size_t i = 0; i < count; i++) {
		struct error late = { 0 };

		if (store_files_discard(m, records[i]->layer->name, &late) < 0)
			manager_report(m, true,
				       "layer=%s is lazy again, but %s; the next start will clean "
				       "up",
				       records[i]->layer->name, late.text);
	}
	manager_lock(m);
	for (size_t i = 0; i < count; i++) {
		struct layer *layer = records[i]->layer;

		layer->lazy = true;
		layer->size_known = layer->measured = false;
		layer->upper_changes++;
		manager_unreserve(m, records[i]);
	}
	manager_unlock(m);
	return 0;
}
