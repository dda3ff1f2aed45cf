/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: what a record is worth; the lowest is evicted first. Most scorers add up two ranks among
 * the candidates, which is the planner's business, and say which counts they want and how much the
 * size of a record weighs against the ranks. Others give a record a worth of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "prune/prune_record.h"

/* A scorer's row. */
struct prune_scorer {
	const char *name;
	bool uses_refs; /* uses BuildKit's counts: releases of refs only */
	/* Within a size class the score grows with last use and with the count, which is what lets
	 * the planner look at a few records only. */
	unsigned size_classes; /* 1: the size does not matter */
	unsigned (*size_class)(int64_t size_bytes); /* below size_classes */
	double (*size_term)(unsigned size_class); /* added to the two ranks; from 0 to 1 */
	/* Not NULL: the score is this instead of ranks and size term. Finite. */
	double (*worth)(const struct prune_record *r);
};

/* The size that counts against the ranks: a cheap record counts as larger than it is. */
int64_t prune_score_size(const struct prune_record *r);

extern const struct prune_scorer prune_scorer_buildkit; /* BuildKit's own order */
extern const struct prune_scorer prune_scorer_access; /* the default one */
extern const struct prune_scorer prune_scorer_lru; /* the last use and nothing else */
/*
 * Greedy-Dual-Size-Frequency (Cherkasova, HPL-98-69): uses per MiB on top of `inflation`, which is
 * what the last evicted record was worth when this one was last used. When the caller does
 * not track that, old uses never lose weight.
 */
extern const struct prune_scorer prune_scorer_gdsf;

#define PRUNE_SCORERS 4
extern const struct prune_scorer *const prune_scorers[PRUNE_SCORERS];
#define PRUNE_SCORER_NAMES "access, buildkit, gdsf or lru"
/* NULL when there is none of that name; an empty name is the default, access. */
const struct prune_scorer *prune_scorer_find(const char *name);
