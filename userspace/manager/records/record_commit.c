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

#include "manager/history/history.h"
#include "manager/state/reservation.h"
#include "manager/state/lease_use.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/records/record_draft.h"
#include "manager/state/snapshot_lease.h"
#include "manager/state/written_layer.h"
#include "store/lease_rows.h"
#include "store/layer_rows.h"
#include "store/reader_rows.h"
#include "store/record_rows.h"

static int check_can_commit(const struct record *r, bool adopt, struct error *e)
{
	if (r->twin)
		return error_set(e, -EINVAL, "record %s is committed already, as %s", r->id,
				 r->twin->id);
	if (r->refs == 0 && !adopt)
		return error_set(e, -EINVAL,
				 "record %s is not held by any lease, so its layer may be "
				 "unfinished: get it first (varve get --mutable %.12s)",
				 r->id, r->id);
	return 0;
}

/* An immutable record like the mutable one, in no graph yet; NULL: no memory. */
static struct record *build_twin(const struct record *r)
{
	struct record_options options = { .description = r->description,
					  .type = r->type,
					  .labels = r->labels,
					  .label_count = r->label_count,
					  .image_refs = (const char *const *)r->image_refs,
					  .image_ref_count = r->image_ref_count };
	struct record *twin = record_draft_build(&options, &r->id_map);

	if (!twin)
		return NULL;
	twin->is_mutable = false;
	twin->pinned = r->pinned;
	return twin;
}

/* Puts the twin into the graph, where it cannot be found yet, with all refs of the mutable record,
 * and adds its rows. Takes the twin, also on failure. */
static int insert_twin(struct manager *m, struct record *r, struct record *twin, struct lease *l,
		       struct change_set *c, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	unsigned refs = r->refs ? r->refs : 1;
	int code = record_graph_insert(locked->graph, twin, r->parent, r->layer);

	if (code < 0) {
		record_free(twin);
		return error_set(e, code, "commit %s: %s", r->id, strerror(-code));
	}
	twin->twin = r; /* one-sided until it is published */
	code = record_refs_add(twin, l, refs, refs);
	if (code < 0) {
		twin->twin = NULL;
		record_graph_remove(locked->graph, twin);
		return error_set(e, code, "commit %s: %s", r->id, strerror(-code));
	}
	record_rows_insert(c, twin, RECORD_LIVE);
	record_rows_set_twin(c, r->id, twin->id);
	for (const struct hold *h = r->holds; h; h = h->next_of_record)
		if (h->lease->connection == 0)
			lease_rows_set_hold(c, h->lease->name, r->id, 0, 0);
	lease_table_save_hold(c, twin, l);
	r->layer->size_known = false;
	layer_forget_uses(r->layer);
	layer_rows_update(c, r->layer);
	reader_rows_forget(c, r->layer->name);
	return 0;
}

static void remove_twin(struct manager *m, struct record *twin)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	twin->twin = NULL;
	record_refs_clear(twin);
	record_graph_remove(locked->graph, twin);
}

static void publish_twin(struct manager *m, struct record *r, struct record *twin)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	twin->mounted_while_held = r->mounted_while_held && r->refs > 0;
	record_refs_clear(r);
	record_graph_pair(twin, r);
	twin->state = RECORD_LIVE;
	history_made(locked, twin);
}

int record_commit_reserved(struct manager *m, struct record *r, struct lease *l, bool adopt,
			   char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record *twin;
	int code = check_can_commit(r, adopt, e);

	manager_assert_unlocked(m);
	if (code < 0)
		return code;
	code = mount_detach_sealed(m, r, e);
	if (code < 0)
		return error_context(e, "commit");
	code = written_layer_check(m, r->layer, e);
	if (code < 0)
		return error_context(e, "commit %s", r->id);

	twin = build_twin(r);
	if (!twin)
		return error_set(e, -ENOMEM, "out of memory");
	code = insert_twin(m, r, twin, l, &c, e);
	if (code < 0)
		return code;
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0) {
		remove_twin(m, twin);
		return code;
	}
	memcpy(ret_id, twin->id, sizeof(twin->id));
	publish_twin(m, r, twin);
	return 0;
}

static int reserve_for_commit(struct manager *m, const char *id, const struct lease_holder *holder,
			      struct reservation *ret_reserved, struct lease_use *ret_use,
			      struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = manager_find(locked, id, &r, e);

	if (code < 0)
		return code;
	if (!r->is_mutable)
		return error_set(e, -EINVAL, "record %s is immutable: there is nothing to commit",
				 r->id);
	code = snapshot_lease_refuse_record(r, "containerd commits it", e);
	if (code < 0)
		return code;
	code = lease_use_begin(locked, holder, ret_use, e);
	if (code < 0)
		return code;
	reservation_begin(locked, r, ret_reserved);
	return 0;
}

int record_commit(struct manager *m, const char *id, const struct lease_holder *holder,
		  char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	cleanup(lease_use_end) struct lease_use use = { 0 };
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reserve_for_commit(m, id, holder, &reserved, &use, e);

	if (code < 0)
		return code;
	return record_commit_reserved(m, reserved.record, use.lease, false, ret_id, e);
}
