/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers have series of their own: the most read ones. A layer keeps its series until many
 * others are read more, so that series do not come and go; the reads of all others are in one sum,
 * which never decreases. Not locked.
 */
#pragma once

#include "manager/numbers/numbers.h"

#define TOP_LAYERS_MAX 50

struct top_layers {
	struct numbers_layer shown[TOP_LAYERS_MAX];
	size_t count;
	uint64_t total, other; /* bytes read, of all layers and of those without series */
};

/* `total`: the bytes that were read of all layers since the agent began. */
void top_layers_update(struct top_layers *t, const struct numbers *n, uint64_t total);
