/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces a damaged database by what can be read in it. */
#pragma once

#include "manager/state/manager_state.h"

/*
 * The caller has the store's lock, and has not opened the database. Moves the damaged files to
 * quarantine/. Without `wanted`, it only completes a rebuild that was cut off after the damaged
 * database had been read. Returns -ENOENT when the store has no database.
 */
int damaged_database_rebuild(struct manager *m, bool wanted, struct error *e);
