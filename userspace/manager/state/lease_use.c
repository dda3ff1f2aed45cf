/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/lease_use.h"

int lease_use_begin(struct manager *m, const struct lease_holder *holder, struct lease_use *ret_use,
		    struct error *e)
{
	struct lease *l;
	int code;

	manager_assert_locked(m);
	code = lease_table_find(m, holder, &l, e);
	if (code < 0)
		return code;
	*ret_use = (struct lease_use){ .m = m, .lease = l };
	return 0;
}

void lease_use_end(struct lease_use *use)
{
	if (!use->lease)
		return;
	cleanup(manager_unlock) struct manager *locked = manager_lock(use->m);
	lease_table_put(locked, use->lease);
	use->lease = NULL;
}
