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
	/* Plans by blocks of records and their losses, see prune_blocks.h; the rest does not
	 * matter. */
	bool by_blocks;
};

/* The size that counts against the ranks: a cheap record counts as larger than it is. */
int64_t prune_score_size(const struct prune_record *r);

extern const struct prune_scorer prune_scorer_buildkit; /* BuildKit's own order */
extern const struct prune_scorer prune_scorer_access; /* by what was read */
extern const struct prune_scorer prune_scorer_lru; /* the last use and nothing else */
/*
 * Greedy-Dual-Size-Frequency (Cherkasova, HPL-98-69): uses per MiB on top of `inflation`, which is
 * what the last evicted record was worth when this one was last used. When the caller does
 * not track that, old uses never lose weight.
 */
extern const struct prune_scorer prune_scorer_gdsf;

/*
 * The default one. What is lost for each byte that is freed: how soon a record will be needed again
 * (forecast.h) times what it costs to make again. The caller knows both.
 */
extern const struct prune_scorer prune_scorer_forecast;

/*
 * How many seconds a byte is worth that has to be made again. An eighth of what a byte takes on
 * average, over the records whose seconds are known, which both sums are of: so bytes and seconds
 * both count, whether making things is quick or slow on this host. At least as long as writing it
 * takes.
 */
double prune_score_byte_s(double seconds, double bytes);
/* What the absence of each record loses in each second, with the records' own value of a byte. An
 * empty record counts as one block: otherwise it would be evicted first although that frees
 * nothing. */
void prune_score_losses(const struct prune_record *records, size_t count, double *ret_losses);
/* Fills in the need rate of a record of which only its own row is known, for scorers
 * that plan by blocks. */
void prune_score_forecast(const struct prune_scorer *scorer, struct prune_record *r,
			  int64_t now_ns);
/* The score by blocks is what is lost in a day for each GiB that is freed, in seconds. */
#define PRUNE_SCORE_GIB_DAY (86400.0 * (1 << 30))

#define PRUNE_SCORERS 5
extern const struct prune_scorer *const prune_scorers[PRUNE_SCORERS];
#define PRUNE_SCORER_NAMES "access, buildkit, forecast, gdsf or lru"
/* The name, or that of the default for NULL and "". */
const char *prune_scorer_name(const char *name);
/* NULL when there is none of that name; an empty name is the default, forecast. */
const struct prune_scorer *prune_scorer_find(const char *name);
