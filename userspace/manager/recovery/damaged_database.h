/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces a damaged database by what can be read in it. */
#pragma once

#include "manager/state/manager_state.h"

/*
 * With the store's lock, before the database is opened. The damaged files are moved to quarantine/.
 * -ENOENT: there is no database. When `wanted` is false, only completes what was cut off after the
 * damaged database had been read.
 */
int damaged_database_rebuild(struct manager *m, bool wanted, struct error *e);
