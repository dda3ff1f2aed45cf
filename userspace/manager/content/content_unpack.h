/* SPDX-License-Identifier: Apache-2.0 */
/* The files of one layer. Database: lazy → directory, filled and synced → database: not lazy,
 * durably; what a crash leaves in between is discarded at start, or by the next attempt. */
#pragma once

#include "manager/content/content_chain.h"
#include "layer/disk_walk.h"

int content_unpack_layer(struct content_chain *job, const struct content_chain_layer *l,
			 struct disk_usage *ret_size, struct error *e);
