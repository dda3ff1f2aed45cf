/* SPDX-License-Identifier: Apache-2.0 */
/* At start, after the records: leases, what they hold, and the snapshots, which they hold, too. */
#pragma once

#include "manager/state/manager_state.h"
#include "store/database.h"

/* Changes of rows that do not fit the records are added to the change set. */
int recover_leases_load(struct manager *m, sqlite3 *db, struct change_set *c, struct error *e);
