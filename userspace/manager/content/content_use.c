/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_use.h"

void content_use_begin(struct manager *m, struct record *r, struct content_use *ret_use)
{
	manager_assert_locked(m);
	r->extractions++;
	*ret_use = (struct content_use){ .m = m, .record = r };
}

int content_use_find(struct manager *m, const char *id, struct content_use *ret_use,
		     struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = manager_find(locked, id, &r, e);

	if (code < 0)
		return code;
	content_use_begin(locked, r, ret_use);
	return 0;
}

void content_use_end(struct content_use *use)
{
	if (!use->record)
		return;
	cleanup(manager_unlock) struct manager *locked = manager_lock(use->m);
	use->record->extractions--;
	use->record = NULL;
	(void)locked;
}
