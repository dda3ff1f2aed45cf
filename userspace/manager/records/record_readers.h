/* SPDX-License-Identifier: Apache-2.0 */
/* Which containers and units have read in layers. */
#pragma once

#include "manager/state/manager_state.h"

/* So many are told apart; the rest are one. */
#define RECORD_READERS_MAX 100

struct record_reader_view {
	char *reader; /* as cgroup_reader_fold() names them; "": others */
	bool upkeep;
	uint64_t layers; /* that it has read in; of the others 0: not known */
	uint64_t opens, reads, read_bytes;
	int64_t first_ns, last_ns;
};

/* In the layers of the records that the ids name, else in all: those that read most first, the
 * others last. `cancelled` may be NULL. */
int record_readers(struct manager *m, const char *const *ids, size_t id_count,
		   const atomic_bool *cancelled, struct record_reader_view **ret_readers,
		   size_t *ret_count, struct error *e);
void record_readers_free(struct record_reader_view *readers, size_t count);
