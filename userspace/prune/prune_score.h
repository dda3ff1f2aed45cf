/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: what a record is worth. The rule itself, the sum of two ranks, is the planner's; a scorer
 * says which counts it wants and how much the size of a record weighs against the ranks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A scorer's row. Lower goes first. Within a size class the score grows with last use and with the
 * count, which is what lets the planner look at a few records only. */
struct prune_scorer {
	const char *name;
	bool uses_refs; /* wants BuildKit's counts: releases of refs only */
	unsigned size_classes; /* 1: the size does not matter */
	unsigned (*size_class)(int64_t size_bytes); /* below size_classes */
	double (*size_term)(unsigned size_class); /* added to the two ranks; from 0 to 1 */
};

extern const struct prune_scorer prune_scorer_buildkit, prune_scorer_access;
/* NULL when there is none of that name; an empty name is the default, access. */
const struct prune_scorer *prune_scorer_find(const char *name);
