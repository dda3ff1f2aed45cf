/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one operation changes in the database: statements with their values, gathered by the
 * *_rows functions while the caller may hold locks, and written at once, all or none, when it holds
 * none. Values are copied. A failed allocation is remembered and refuses the write.
 */
#pragma once

#include "store/database.h"

struct change_set {
	struct change *first, **last;
	bool failed;
};

#define CHANGE_VALUES_MAX 24

/* `sql` and `types` must outlive the set; types as in statement_run. */
void change_set_add(struct change_set *c, const char *sql, const char *types, ...);
static inline bool change_set_is_empty(const struct change_set *c)
{
	return !c->first && !c->failed;
}
/* Writes everything, and empties the set on success. An empty set starts no transaction. */
int change_set_write(struct change_set *c, struct database *d, enum database_durability durability,
		     struct error *e);
void change_set_free(struct change_set *c);
DEFINE_CLEANUP_VALUE(struct change_set, change_set_free)
