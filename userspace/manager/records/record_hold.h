/* SPDX-License-Identifier: Apache-2.0 */
/* Get and release: the refs that leases hold on records, and the uses that they count. */
#pragma once

#include "manager/state/lease_table.h"

struct record_get_options {
	bool is_mutable; /* GetMutable */
	bool no_use;
	const char *const *image_refs; /* appended to the record */
	size_t image_ref_count;
	bool spare_image_refs; /* when there is no room for them, go on without */
};

int record_hold_get(struct manager *m, const char *id, const struct record_get_options *options,
		    const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		    struct error *e);
int record_hold_release(struct manager *m, const char *id, const struct lease_holder *holder,
			struct error *e);

/* Of a reserved record, durably; without the lock. */
int record_hold_add_ref(struct manager *m, struct record *r, struct lease *l,
			const struct record_get_options *options, struct error *e);

/* Drops one ref of a record that is not busy, and does what that means for it: the record may be
 * gone afterwards. With the lock, which it lets go of meanwhile. */
int record_hold_drop_ref(struct manager *m, struct record *r, struct lease *l, struct error *e);
