/* SPDX-License-Identifier: Apache-2.0 */
/* The history in the database. */
#pragma once

#include "manager/history/history.h"

/* Loads what earlier starts have learned; layers that have no past begin one. Once, after the
 * records were loaded; without the lock. */
int history_save_load(struct manager *m, struct error *e);
/* With the lock: adds the rows that are not in the database yet; then tell whether they were
 * written. */
void history_save(struct manager *m, struct change_set *c);
void history_save_done(struct manager *m, bool written);
