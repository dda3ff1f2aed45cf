/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that a request names, each once: what it makes the agent do is bounded by the number
 * of records, and not by the number of names that it has for them.
 */
#pragma once

#include "manager/state/manager_state.h"

/* What is looked up again, because the record may be gone the next time the lock is taken. */
struct record_choice {
	char id[RECORD_ID_LENGTH + 1];
	int64_t created_ns;
};

struct record_selection {
	const char *const *ids; /* none: all records that are included */
	size_t id_count;
	bool (*included)(const struct record *r);
	const atomic_bool *cancelled; /* may be NULL */
};

/* Without the lock. In the order in which the ids name them first, else by creation. The caller
 * frees the array. -E2BIG: more than MANAGER_ABBREVIATED_IDS_MAX of the ids are prefixes, each of
 * which is compared with every record. */
int record_select(struct manager *m, const struct record_selection *selection,
		  struct record_choice **ret_choices, size_t *ret_count, struct error *e);

/* -ENOENT, for a record that the caller named and that is there no more. */
int record_select_refuse_gone(const struct record_choice *choice, struct error *e);

/* How many records are looked at before the lock is given to others for a moment. */
#define RECORD_SELECT_AT_ONCE 128
