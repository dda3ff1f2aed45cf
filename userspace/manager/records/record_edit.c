/* SPDX-License-Identifier: Apache-2.0 */
/* What can be changed about a record at any time: pins and labels. */
#include "manager/records/record_edit.h"

#include <errno.h>
#include <string.h>

#include "manager/state/reservation.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/records/record_draft.h"
#include "manager/state/snapshot_lease.h"
#include "store/lease_rows.h"
#include "store/record_rows.h"

int record_edit_pin(struct manager *m, const char *id, bool pinned,
		    char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = reservation_find(m, id, &reserved, e);

	if (code < 0)
		return code;

	struct record *r = reserved.record;
	memcpy(ret_id, r->id, sizeof(r->id));
	record_rows_set_pinned(&c, r->id, pinned);
	if (r->twin)
		record_rows_set_pinned(&c, r->twin->id, pinned);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	r->pinned = pinned;
	if (r->twin)
		r->twin->pinned = pinned;
	return 0;
}

static bool is_removed(const struct record_label_change *change, const char *key)
{
	for (size_t i = 0; i < change->removed_count; i++)
		if (strcmp(change->removed[i], key) == 0)
			return true;
	return false;
}

static int copy_other_labels(const struct record *r, const struct record_label_change *change,
			     struct record *draft)
{
	for (size_t i = 0; i < r->label_count; i++)
		if (!is_removed(change, r->labels[i].key) &&
		    record_set_label(draft, r->labels[i].key, r->labels[i].value) < 0)
			return -ENOMEM;
	return 0;
}

/* A record without a place in the graph, which has the labels that the other one will have. */
static int draft_labels(const struct record *r, const struct record_label_change *change,
			struct record **ret_draft, struct error *e)
{
	cleanup(record_free) struct record *draft = record_new(r->id, "", "");

	if (!draft || copy_other_labels(r, change, draft) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < change->set_count; i++)
		if (record_set_label(draft, change->set[i].key, change->set[i].value) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	if (draft->label_count > MANAGER_LABELS_MAX)
		return error_set(e, -EINVAL, "a record has at most %d labels, not %zu",
				 MANAGER_LABELS_MAX, draft->label_count);
	*ret_draft = take_ptr(draft);
	return 0;
}

static int check_change(const struct record_label_change *change, struct error *e)
{
	int code = record_draft_check_labels(change->set, change->set_count, e);

	for (size_t i = 0; code == 0 && i < change->removed_count; i++)
		code = record_draft_check_label_key(change->removed[i], e);
	return code;
}

int record_edit_labels(struct manager *m, const char *id, const struct record_label_change *change,
		       char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	cleanup(record_free) struct record *draft = NULL;
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(reservation_end) struct reservation reserved = { 0 };
	int code = check_change(change, e);

	if (code < 0)
		return code;
	code = reservation_find(m, id, &reserved, e);
	if (code < 0)
		return code;

	struct record *r = reserved.record;
	memcpy(ret_id, r->id, sizeof(r->id));
	code = snapshot_lease_refuse_record(r, "its labels are containerd's", e);
	if (code < 0)
		return code;
	code = draft_labels(r, change, &draft, e);
	if (code < 0)
		return code;
	record_rows_delete_labels(&c, r->id);
	record_rows_add_labels(&c, r->id, draft->labels, draft->label_count);
	code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	record_swap_labels(r, draft);
	return 0;
}
