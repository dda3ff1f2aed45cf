/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens the store's database, and tells a new store from one that has lost its database: files that
 * no row names are deleted at start, so that an empty database must never pass for the truth.
 */
#pragma once

#include "manager/state/manager_state.h"

/*
 * With the store's lock, before recover(). A missing or empty database is made only where there are
 * neither layers nor blobs. -ENOENT: there are some, and nothing was changed; the error says how to
 * go on. With `quarantine`: they are moved to quarantine/, where fsck finds them, and an empty
 * database is made; -EEXIST: the database is not lost.
 */
int lost_database_open(struct manager *m, bool quarantine, struct error *e);
