/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record whose chain some work unpacks or reads: while the use lasts, the record stays and its
 * files are not given up. It may be mounted and held meanwhile. Ends with its scope.
 */
#pragma once

#include "manager/state/manager_state.h"

struct content_use {
	struct manager *m;
	struct record *record; /* NULL: none */
};

/* Of a record that was found since the lock was taken. With the lock. */
void content_use_begin(struct manager *m, struct record *r, struct content_use *ret_use);
/* Of the record with this id, or unique prefix of one. -ENOENT. Without the lock. */
int content_use_find(struct manager *m, const char *id, struct content_use *ret_use,
		     struct error *e);
/* Without the lock. */
void content_use_end(struct content_use *use);
DEFINE_CLEANUP_VALUE(struct content_use, content_use_end)
