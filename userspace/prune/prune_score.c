/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune_score.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

/* access: 64 KiB and less, then a class for each factor of 4, up to "more than 16 TiB". Few and
 * wide, because within a class the ranks alone decide, and because every class costs the planner
 * one more search for each deletion. */
#define SMALLEST_CLASS_BYTES (INT64_C(64) << 10)
#define SIZE_CLASSES 16
/* A quarter of what either rank can weigh: enough to decide between records that are used about
 * alike, for the big one, whose deletion frees more; too little to evict what is in daily use. */
#define SIZE_WEIGHT 0.25

static unsigned one_class(int64_t size_bytes)
{
	(void)size_bytes; /* BuildKit's rule does not look at it */
	return 0;
}

static double no_term(unsigned size_class)
{
	(void)size_class; /* there is only one */
	return 0;
}

static unsigned class_by_magnitude(int64_t size_bytes)
{
	int64_t limit = SMALLEST_CLASS_BYTES;
	unsigned size_class = 0;

	while (size_bytes > limit && size_class < SIZE_CLASSES - 1) {
		limit *= 4;
		size_class++;
	}
	return size_class;
}

static double term_by_magnitude(unsigned size_class)
{
	return SIZE_WEIGHT * (double)(SIZE_CLASSES - 1 - size_class) / (SIZE_CLASSES - 1);
}

const struct prune_scorer prune_scorer_buildkit = {
	.name = "buildkit",
	.uses_refs = true,
	.size_classes = 1,
	.size_class = one_class,
	.size_term = no_term,
};

const struct prune_scorer prune_scorer_access = {
	.name = "access",
	.uses_refs = false,
	.size_classes = SIZE_CLASSES,
	.size_class = class_by_magnitude,
	.size_term = term_by_magnitude,
};

const struct prune_scorer *prune_scorer_find(const char *name)
{
	static const struct prune_scorer *const scorers[] = {
		&prune_scorer_access,
		&prune_scorer_buildkit,
	};

	if (name[0] == '\0')
		return &prune_scorer_access;
	for (size_t i = 0; i < ARRAY_SIZE(scorers); i++)
		if (strcmp(name, scorers[i]->name) == 0)
			return scorers[i];
	return NULL;
}
