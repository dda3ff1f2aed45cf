/* SPDX-License-Identifier: Apache-2.0 */
/* A plain tar becomes a record. */
#pragma once

#include "image/image_reference.h"
#include "manager/images/image_import.h"

int image_import_tar(struct manager *m, const struct image_reference *reference,
		     const struct image_import_options *options, const struct lease_holder *holder,
		     struct image_summary *s, struct error *e);
