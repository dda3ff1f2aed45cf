/* SPDX-License-Identifier: Apache-2.0 */
/* Records into images. */
#pragma once

#include "manager/images/image_import.h"
#include "manager/images/image_pack.h"

struct manager_export_options {
	const char *id, *destination; /* paths absolute */
	enum manager_compression compression; /* of layers that have no blob yet */
	struct manager_watch watch;
};

int manager_export(struct manager *m, const struct manager_export_options *options,
		   struct manager_image_summary *ret_summary, struct error *e);
