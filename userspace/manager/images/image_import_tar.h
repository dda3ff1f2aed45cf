/* SPDX-License-Identifier: Apache-2.0 */
/* A plain tar becomes a record. */
#pragma once

#include "image/image_reference.h"
#include "manager/images/image_import.h"

int content_import_tar(struct manager *m, const struct image_reference *reference,
		       const struct manager_import_options *options,
		       const struct manager_holder *holder, struct manager_image_summary *s,
		       struct error *e);
