/* SPDX-License-Identifier: Apache-2.0 */
/* What importing an image and importing a plain tar share. Private to content_import*.c. */
#pragma once

#include "manager/content_state.h"

/* A connection's lease for one piece of work, which manager_connection_closed() ends. */
struct manager_holder content_import_holder(struct manager *m);
/* Removes records that were made, in that order, unless somebody has taken them. */
void content_import_undo(struct manager *m, char (*made)[RECORD_ID_LENGTH + 1], size_t count);
int content_import_tar(struct manager *m, const struct image_reference *reference,
		       const struct manager_import_options *options,
		       const struct manager_holder *holder, struct manager_image_summary *s,
		       struct error *e);
