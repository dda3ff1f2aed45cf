/* SPDX-License-Identifier: Apache-2.0 */
/* A consistent copy of the database of a running store. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"

struct manager;

/* Makes the copy in the store and hands it to write() in pieces; a negative return ends it and is
 * returned. What the counters have seen until now is in it. -ENOSPC, -ECANCELED, -EILSEQ: the
 * database is damaged. Without the lock. */
int store_backup(struct manager *m, const atomic_bool *cancelled,
		 int (*write)(const void *piece, size_t size, void *user), void *user,
		 struct error *e);
