/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images/image_work.h"

#include <errno.h>

#include "manager/records/leases.h"
#include "manager/records/record_delete.h"
#include "manager/state/trash.h"

/* A connection never has such a number. */
#define WORK_CONNECTIONS (UINT64_C(1) << 63)

int image_work_begin(struct manager *m, size_t records, struct image_work *ret_work,
		     struct error *e)
{
	struct image_work work = { .m = m, .made = calloc(records, sizeof(*work.made)) };

	if (!work.made)
		return error_set(e, -ENOMEM, "out of memory");
	work.holder.connection = WORK_CONNECTIONS | atomic_fetch_add(&m->content_works, 1);
	*ret_work = work;
	return 0;
}

static void undo(struct image_work *work)
{
	/* On a full disk not even the deletion of rows could be written otherwise. */
	if (work->made_count > 0)
		trash_drain(work->m);
	for (size_t i = work->made_count; i-- > 0;) {
		struct error e = { 0 };
		int code = record_delete(work->m, work->made[i], &e);

		/* A record that others use by now stays, and so do its parents. */
		if (code < 0 && code != -EBUSY && code != -ENOTEMPTY && code != -ENOENT)
			manager_report(work->m, true,
				       "record=%s of a failed import stays in the store: %s",
				       work->made[i], e.text);
	}
}

void image_work_end(struct image_work *work)
{
	if (!work->m)
		return;
	manager_assert_unlocked(work->m);
	leases_connection_closed(work->m, work->holder.connection);
	if (!work->succeeded)
		undo(work);
	free(work->made);
	*work = (struct image_work){ .m = NULL };
}
