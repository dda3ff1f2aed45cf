/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image layers that containerd has removed and that stay as a cache: records that nothing holds,
 * of the type image.layer, with the layer's statistics. Only layers whose content is known are
 * kept, because only they are ever found again.
 */
#pragma once

#include "manager/state/manager_state.h"
#include "prune/prune_policy.h"

/* Whether a snapshot that nothing but containerd holds stays when containerd removes it. With the
 * lock. */
bool snapshot_kept_is_wanted(const struct manager *m, const struct record *r,
			     const struct prune_disk *disk);

/* The labels and the type that the record gets, in a record without a place in the graph. With the
 * lock. -ENOMEM. */
int snapshot_kept_draft(const struct manager *m, const struct record *r, struct record **ret_draft);
void snapshot_kept_add_rows(struct change_set *c, const struct record *r,
			    const struct record *draft);
/* With the lock. */
void snapshot_kept_publish(struct manager *m, struct record *r, struct record *draft);
