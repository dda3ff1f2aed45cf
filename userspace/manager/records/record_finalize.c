/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a pair of twins: the immutable record alone owns the layer from then on.
 *
 *   operation   database                     files and mounts   in between, after a crash
 *   finalize    mutable row gone, durable    unmount before     still a twin
 */
#include "manager/records/record_finalize.h"

#include <errno.h>

#include "manager/state/reservation.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "store/record_rows.h"

/* The immutable twin becomes the owner of the data, and the mutable record ends. */
static int finalize_reserved(struct manager *m, struct record *r, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	int code = mount_detach_sealed(m, r->twin, e);

	if (code < 0)
		return code;
	record_rows_set_twin(&c, r->id, NULL);
	record_rows_delete(&c, r->twin->id);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	record_graph_remove(locked->graph, r->twin);
	return 0;
}

static int check_is_immutable(const struct record *r, struct error *e)
{
	if (!r->is_mutable)
		return 0;
	return error_set(e, -EINVAL, "record %s is mutable: commit it first (varve commit %.12s)",
			 r->id, r->id);
}

int record_finalize(struct manager *m, const char *id, struct error *e)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reservation_find_checked(m, id, check_is_immutable, &reserved, e);

	if (code < 0 || !reserved.record->twin) /* without a twin it is final already */
		return code;
	code = finalize_reserved(m, reserved.record, e);
	return code < 0 ? error_context(e, "finalize %s", reserved.record->id) : 0;
}
