/* SPDX-License-Identifier: Apache-2.0 */
/* Records into images. */
#pragma once

#include "manager/images/image_import.h"
#include "manager/images/image_pack.h"

struct image_export_options {
	const char *id, *destination; /* paths absolute */
	enum image_compression compression; /* of layers that have no blob yet */
	struct content_watch watch;
};

int image_export(struct manager *m, const struct image_export_options *options,
		 struct image_summary *ret_summary, struct error *e);
