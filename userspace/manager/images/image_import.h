/* SPDX-License-Identifier: Apache-2.0 */
/* Records from images, and from plain tars. */
#pragma once

#include "manager/images/image_requests.h"
#include "manager/state/lease_table.h"

/* Makes a record of each layer that the store does not have; the holder holds the top one. On
 * failure the records that were made are removed again. Without the lock. */
int image_import(struct manager *m, const struct image_import_options *options,
		 const struct lease_holder *holder, struct image_summary *ret_summary,
		 struct error *e);
