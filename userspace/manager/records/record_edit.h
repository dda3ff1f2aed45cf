/* SPDX-License-Identifier: Apache-2.0 */
/* Pins and labels of records. */
#pragma once

#include "manager/state/manager_state.h"

/* Neither prune nor rm takes a pinned record. Both halves of a twin are pinned together. */
int record_edit_pin(struct manager *m, const char *id, bool pinned,
		    char ret_id[RECORD_ID_LENGTH + 1], struct error *e);

struct record_label_change {
	const struct record_label *set;
	size_t set_count;
	const char *const *removed; /* keys; one that the record does not have is ignored */
	size_t removed_count;
};

/* All of the change or nothing. */
int record_edit_labels(struct manager *m, const char *id, const struct record_label_change *change,
		       char ret_id[RECORD_ID_LENGTH + 1], struct error *e);
