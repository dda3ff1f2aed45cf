/* SPDX-License-Identifier: Apache-2.0 */
/* A mutable record becomes an immutable one. Both share the layer as twins until the pair is
 * finalized. */
#pragma once

#include "manager/state/lease_table.h"

int record_commit(struct manager *m, const char *id, const struct lease_holder *holder,
		  char ret_id[RECORD_ID_LENGTH + 1], struct error *e);

/* The immutable twin of a reserved mutable record, held by the lease instead of it. `adopt`: a
 * record without refs may be committed, too (Get of a mutable record). Without the lock. */
int record_commit_reserved(struct manager *m, struct record *r, struct lease *l, bool adopt,
			   char ret_id[RECORD_ID_LENGTH + 1], struct error *e);
