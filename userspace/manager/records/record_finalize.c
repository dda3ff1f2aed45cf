/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a pair of twins: the immutable record alone owns the layer from then on.
 *
 *   operation   database                     files and mounts   in between, after a crash
 *   finalize    mutable row gone, durable    unmount before     still a twin
 */
#include "manager/records/record_finalize.h"

#include <errno.h>

#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "store/record_rows.h"

/* The twin becomes the owner of the data, and the mutable record disappears. */
int record_finalize(struct manager *m, const char *id, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct record *r;
	int code;

	manager_lock(m);
	code = manager_find(m, id, &r, e);
	if (code == 0 && r->is_mutable)
		code = error_set(e, -EINVAL,
				 "record %s is mutable: commit it first (varve commit %.12s)",
				 r->id, r->id);
	if (code < 0 || !r->twin) {
		manager_unlock(m);
		return code;
	}
	manager_reserve(r);
	manager_unlock(m);

	code = mount_detach(m, r->twin, e);
	if (code == 0) {
		record_rows_set_twin(&c, r->id, NULL);
		record_rows_delete(&c, r->twin->id);
		code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	}
	manager_lock(m);
	if (code == 0)
		record_graph_remove(m->graph, r->twin);
	manager_unreserve(m, r);
	manager_unlock(m);
	return code < 0 ? error_context(e, "finalize %s", r->id) : 0;
}
