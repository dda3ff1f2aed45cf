/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a new database of what can be read in a damaged one. Each table is read from both ends, up
 * to the page that is damaged, so that what is missing lies between two damaged pages.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct database_rebuild_summary {
	int64_t rows; /* that were copied */
	char damaged[256]; /* the tables with damage, separated by commas */
};

/* `path` must not exist, and is removed after a failure. -EILSEQ: the tables of the damaged
 * database cannot be found. -ENOTSUP: its schema is not that of this version. */
int database_rebuild(const char *damaged, const char *path,
		     struct database_rebuild_summary *ret_summary, struct error *e);
