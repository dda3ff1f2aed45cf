/* SPDX-License-Identifier: Apache-2.0 */
/* What importing an image and importing a plain tar share: a lease for one piece of work, and its
 * undoing. */
#include "manager/images/image_work.h"

#include <errno.h>

#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/records/record_delete.h"
#include "manager/state/trash.h"

/* No connection ever has such a number. */
#define WORK_CONNECTIONS (UINT64_C(1) << 63)

struct lease_holder image_work_holder(struct manager *m)
{
	uint64_t number = atomic_fetch_add(&m->content_works, 1);

	return (struct lease_holder){ .connection = WORK_CONNECTIONS | number };
}

void image_work_undo(struct manager *m, char (*made)[RECORD_ID_LENGTH + 1], size_t count)
{
	struct error e = { 0 };
	int code;

	/* On a full disk nothing could be written otherwise, not even that they are gone. */
	if (count > 0)
		trash_drain(m);
	/* Children first. What somebody holds by now stays, with what it lies on. */
	while (count-- > 0) {
		code = record_delete(m, made[count], &e);
		if (code < 0 && code != -EBUSY && code != -ENOTEMPTY && code != -ENOENT)
			manager_report(m, true, "record=%s of a failed import stays, lazy: %s",
				       made[count], e.text);
	}
}
