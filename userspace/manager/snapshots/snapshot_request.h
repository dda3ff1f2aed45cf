/* SPDX-License-Identifier: Apache-2.0 */
/* What Prepare and View ask for. */
#pragma once

#include "graph/record.h"

struct snapshot_request {
	enum snapshot_kind kind; /* active or view */
	const char *key;
	const char *parent; /* "" : none */
	const struct record_label *labels; /* those with an empty value are left out */
	size_t label_count;
};
