/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the database as it is at one moment, while it is read and written. */
#pragma once

#include <stdatomic.h>

#include "store/database.h"

/* Writes the copy to a file that does not exist yet, and checks it. Writers do not wait for it.
 * `cancelled` may be NULL. On failure the file may be there, incomplete. -EEXIST, -ECANCELED,
 * -EILSEQ: the database is damaged. */
int database_backup(struct database *d, const char *path, const atomic_bool *cancelled,
		    struct error *e);
