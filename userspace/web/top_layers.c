/* SPDX-License-Identifier: Apache-2.0 */
#include "web/top_layers.h"

#include <string.h>

static const struct numbers_layer *find(const struct numbers_layer *layers, size_t count,
					const struct numbers_layer *wanted)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(layers[i].layer, wanted->layer) == 0)
			return &layers[i];
	return NULL;
}

/* What was read of the layers that had series before, and have them now. */
static uint64_t read_meanwhile(const struct top_layers *before, const struct top_layers *now)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < now->count; i++) {
		const struct numbers_layer *old =
			find(before->shown, before->count, &now->shown[i]);

		if (old && now->shown[i].read_bytes > old->read_bytes)
			bytes += now->shown[i].read_bytes - old->read_bytes;
	}
	return bytes;
}

void top_layers_update(struct top_layers *t, const struct numbers *n, uint64_t total)
{
	struct top_layers now = { .total = total, .other = t->other };
	uint64_t bytes = total - t->total, theirs;

	/* Those that have series already come first: others only get what is left. */
	for (size_t i = 0; i < n->top_count; i++)
		if (find(t->shown, t->count, &n->top[i]))
			now.shown[now.count++] = n->top[i];
	for (size_t i = 0; i < n->top_count && now.count < TOP_LAYERS_MAX; i++)
		if (!find(t->shown, t->count, &n->top[i]))
			now.shown[now.count++] = n->top[i];
	theirs = read_meanwhile(t, &now);
	now.other += bytes > theirs ? bytes - theirs : 0;
	*t = now;
}
