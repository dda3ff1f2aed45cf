/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At start: the rows of records, layers and leases become the graph. What was never finished is
 * deleted. What has lost its data or its parent is *quarantined*: it is not loaded, and its rows
 * and files stay as they are until fsck --repair drops them, or the next start finds them whole
 * again.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Deletions are added to the change set. */
int recover_rows_load(struct manager *m, struct change_set *c, struct error *e);

/* Whether a record that was quarantined owns the layer. */
bool recover_rows_is_quarantined(const struct manager *m, const char *layer);

/* Keeps the name of a layer from being given to a new one. */
void recover_rows_take_name(struct manager *m, const char *layer);
