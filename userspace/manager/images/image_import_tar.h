/* SPDX-License-Identifier: Apache-2.0 */
/* A plain tar becomes a record without parents. Called by image_import(). */
#pragma once

#include "image/image_reference.h"
#include "manager/images/image_requests.h"
#include "manager/state/lease_table.h"

/* The holder holds the record. *s is filled in as far as it is known. Without the lock. */
int image_import_tar(struct manager *m, const struct image_reference *reference,
		     const struct image_import_options *options, const struct lease_holder *holder,
		     struct image_summary *s, struct error *e);
