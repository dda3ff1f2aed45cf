/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that become lazy again: their files are removed, their records stay. Crash order: row says
 * lazy, durably → files to the trash; files of a lazy layer are removed at start.
 */
#pragma once

#include "manager/state/manager_state.h"

/* Whether the record has files that could be made again from its blob. With the lock. */
bool content_lazy_could_be_made(struct manager *m, const struct record *r);

/* Like content_lazy_could_be_made(), and nothing needs the files now. With the lock. */
bool content_lazy_may_fall_back(struct manager *m, const struct record *r);

/* Removes the files of reserved records and ends their reservations. On failure nothing has changed
 * and the records are still reserved. Without the lock. */
int content_lazy_fall_back(struct manager *m, struct record *const *records, size_t count,
			   const char *by, struct error *e);
