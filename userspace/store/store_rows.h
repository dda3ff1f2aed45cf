/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of the store: texts by key. */
#pragma once

#include "store/change_set.h"

/* Only in a copy that `varve backup` has made, or a rebuilt database: it may not know of layers
 * that the store has. The first start that used it deletes the row. */
#define STORE_ROW_RESTORED "restored"

/* *ret_value is the caller's to free; NULL when there is none. */
int store_rows_find(sqlite3 *db, const char *key, char **ret_value, struct error *e);
void store_rows_set(struct change_set *c, const char *key, const char *value);
void store_rows_delete(struct change_set *c, const char *key);
