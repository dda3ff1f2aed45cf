/* SPDX-License-Identifier: Apache-2.0 */
/* Layers fall back to lazy: their files go, their records stay. */
#pragma once

#include "manager/state/manager_state.h"

/* With the lock: it has files, and they could be made again. */
bool content_lazy_could_be_made(struct manager *m, const struct record *r);

/* With the lock: the same, and nothing needs them now. */
bool content_lazy_may_fall_back(struct manager *m, const struct record *r);

/* The reserved records lose their files and stay; all or none. */
int content_lazy_fall_back(struct manager *m, struct record *const *records, size_t count,
			   struct error *e);
