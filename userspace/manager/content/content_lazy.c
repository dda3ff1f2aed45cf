/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_lazy.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "graph/record_content.h"
#include "manager/content/content_blobs.h"
#include "manager/history/history.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"

/* Nothing above the record has files or is getting some: without files of its own it cannot be
 * mounted. With the lock. */
static bool is_unneeded(const struct record *r)
{
	manager_assert_some_locked();
	if (r->extractions > 0)
		return false;
	for (const struct record *c = r->first_child; c; c = c->next_sibling)
		if (!c->layer->lazy || c->busy || !is_unneeded(c))
			return false;
	return true;
}

/* Several records may share the layer. With the lock. */
static bool is_unneeded_by_all(struct manager *m, const struct record *r)
{
	const struct record *other = r->layer->first_owner;

	manager_assert_locked(m);
	if (r->layer->owners == 1)
		return is_unneeded(r);
	for (; other; other = other->next_owner)
		if ((other->twin || !other->content || other->snapshot || other->mount ||
		     other->busy || !is_unneeded(other)))
			return false;
	return true;
}

bool content_lazy_could_be_made(struct manager *m, const struct record *r)
{
	manager_assert_locked(m);
	return r->content && !r->twin && !r->snapshot && !r->layer->lazy && !r->layer->lingering &&
	       !r->layer->elsewhere &&
	       (record_content_has_source(r->content) || content_blobs_has(m, &r->content->blob));
}

bool content_lazy_may_fall_back(struct manager *m, const struct record *r)
{
	manager_assert_locked(m);
	return content_lazy_could_be_made(m, r) && is_unneeded_by_all(m, r);
}

static void add_history(struct manager *m, struct record *const *records, size_t count,
			const char *by, int64_t now_ns, struct change_set *c)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	for (size_t i = 0; i < count; i++)
		history_falling_back(locked, records[i], by, now_ns, c);
}

static int write_rows(struct manager *m, struct record *const *records, size_t count,
		      const char *by, int64_t now_ns, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	add_history(m, records, count, by, now_ns, &c);
	for (size_t i = 0; i < count; i++) {
		layer_rows_set_lazy(&c, records[i]->layer->name, true);
		layer_rows_forget_files(&c, records[i]->layer->name);
	}
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

/* What cannot be removed now is removed at the next start. */
static void discard_files(struct manager *m, struct record *const *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct error late = { 0 };

		if (store_files_discard(m, records[i]->layer->name, &late) < 0)
			manager_report(m, true,
				       "layer=%s is lazy again, but its files are still there: %s; "
				       "the next start will remove them",
				       records[i]->layer->name, late.text);
	}
}

int content_lazy_fall_back(struct manager *m, struct record *const *records, size_t count,
			   const char *by, struct error *e)
{
	int64_t now = clock_wall_ns();
	int code = write_rows(m, records, count, by, now, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	/* From here on the layers count as having no files; no thread looks at what is left of
	 * them while the records are reserved. */
	discard_files(m, records, count);
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	for (size_t i = 0; i < count; i++) {
		struct layer *layer = records[i]->layer;

		layer->lazy = true;
		layer->size_known = layer->measured = false;
		layer->upper_changes++;
		history_fell_back(locked, layer->name, by, now);
		manager_unreserve(locked, records[i]);
	}
	return 0;
}
