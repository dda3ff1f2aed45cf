/* SPDX-License-Identifier: Apache-2.0 */
/* Records as images. */
#pragma once

#include "manager/images/image_requests.h"

/* Writes the record, with its parents as the layers below, to the destination. A record that had no
 * digests yet keeps those of its packed layer. A mutable record is refused: -EBUSY. Without the
 * lock. */
int image_export(struct manager *m, const struct image_export_options *options,
		 struct image_summary *ret_summary, struct error *e);
