/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mutable record becomes an immutable one. Both share the layer as twins until the pair is
 * finalized.
 *
 *   operation   database            files and mounts         in between, after a crash
 *   commit      twin, durable       unmount before           still mutable, not mounted
 */
#include "manager/records/record_commit.h"

#include <errno.h>
#include <string.h>

#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/records/record_draft.h"
#include "manager/state/snapshot_lease.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"

/* The immutable twin of a reserved mutable record, held by the lease instead of it. `adopt`: a
 * record that nobody holds may be committed, too (Get of a mutable record). */
int record_commit_reserved(struct manager *m, struct record *r, struct lease *l, bool adopt,
			   char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record_options options = { .description = r->description,
					  .type = r->type,
					  .labels = r->labels,
					  .label_count = r->label_count,
					  .image_refs = (const char *const *)r->image_refs,
					  .image_ref_count = r->image_ref_count };
	struct record *twin = NULL;
	int code;

	manager_assert_unlocked(m);
	if (r->twin)
		return error_set(e, -EINVAL, "record %s is committed already, as %s", r->id,
				 r->twin->id);
	if (r->refs == 0 && !adopt)
		return error_set(e, -EINVAL,
				 "record %s is held by nobody, so nobody can have finished it "
				 "(varve get --mutable %.12s)",
				 r->id, r->id);
	code = mount_detach(m, r, e);
	if (code < 0)
		return error_context(e, "commit");

	twin = record_draft_build(&options, &r->id_map);
	if (!twin)
		return error_set(e, -ENOMEM, "out of memory");
	twin->is_mutable = false;
	twin->pinned = r->pinned;
	manager_lock(m);
	code = record_graph_insert(m->graph, twin, r->parent, r->layer);
	if (code == 0) {
		twin->twin = r; /* one-sided until it is published */
		code = r->refs ? record_refs_add(twin, l, r->refs, r->refs)
			       : record_refs_add(twin, l, 1, 1);
		record_rows_insert(&c, twin, RECORD_LIVE);
		record_rows_set_twin(&c, r->id, twin->id);
		for (const struct hold *h = r->holds; h; h = h->next_of_record)
			if (h->lease->connection == 0)
				lease_rows_set_hold(&c, h->lease->name, r->id, 0, 0);
		lease_table_save_hold(&c, twin, l);
		r->layer->size_known = false;
		layer_rows_update(&c, r->layer);
	} else {
		record_free(twin);
	}
	manager_unlock(m);
	if (code < 0)
		return error_set(e, code, "commit %s: %s", r->id, strerror(-code));

	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	manager_lock(m);
	if (code < 0) {
		twin->twin = NULL;
		record_refs_clear(twin);
		record_graph_remove(m->graph, twin);
	} else {
		twin->mounted_while_held = r->mounted_while_held && r->refs > 0;
		record_refs_clear(r);
		record_graph_pair(twin, r);
		twin->state = RECORD_LIVE;
		memcpy(ret_id, twin->id, sizeof(twin->id));
	}
	manager_unlock(m);
	return code;
}

int record_commit(struct manager *m, const char *id, const struct lease_holder *holder,
		  char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	struct record *r;
	struct lease *l;
	int code;

	manager_lock(m);
	code = manager_find(m, id, &r, e);
	if (code == 0 && !r->is_mutable)
		code = error_set(e, -EINVAL, "record %s is immutable: there is nothing to commit",
				 r->id);
	if (code == 0)
		code = snapshot_lease_refuse_record(r, "containerd commits it", e);
	if (code == 0)
		code = lease_table_find(m, holder, &l, e);
	if (code == 0)
		manager_reserve(r);
	manager_unlock(m);
	if (code < 0)
		return code;
	code = record_commit_reserved(m, r, l, false, ret_id, e);
	manager_lock(m);
	manager_unreserve(m, r);
	lease_table_put(m, l);
	manager_unlock(m);
	return code;
}
