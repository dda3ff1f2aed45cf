/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that a request names, each once: what it makes the agent do is bounded by the number
 * of records, and not by the number of names that it has for them.
 */
#pragma once

#include "manager/state/manager_state.h"

/* With the lock. In the order in which the ids name them first; without ids all that `included`
 * says, by creation. The caller frees the array. -E2BIG: more than MANAGER_ABBREVIATED_IDS_MAX of
 * the ids are prefixes, each of which is compared with every record. */
int record_select(struct manager *m, const char *const *ids, size_t id_count,
		  bool (*included)(const struct record *r), struct record ***ret_records,
		  size_t *ret_count, struct error *e);
