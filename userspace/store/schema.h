/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, as numbered migrations; PRAGMA user_version says how many have run. */
#pragma once

#include <sqlite3.h>

#include "base/error.h"

int schema_migrate(sqlite3 *db, struct error *e);
