/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/prune_score.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "prune/forecast.h"
#include "prune/prune_blocks.h"

/* access: 64 KiB and less, then a class for each factor of 4, up to "more than 16 TiB". Few and
 * wide, because within a class the ranks alone decide, and because every class costs the planner
 * one more search for each deletion. */
#define SMALLEST_CLASS_BYTES (INT64_C(64) << 10)
#define SIZE_CLASSES 16
/* As much as either rank: what replayed workloads bear out, see doc/eviction.md. Of records that
 * are used about alike the big one goes, whose deletion frees more. */
#define SIZE_WEIGHT 1.0
/* forecast: what a byte is worth, see prune_score_byte_s(); the shortest and the default are those
 * of 100 MB and 10 MB a second. */
#define BYTE_SHARE 0.125
#define BYTE_MIN_S 1e-8
#define BYTE_DEFAULT_S 1e-7
/* gdsf: smaller records count as one block. */
#define SMALLEST_BYTES 4096

/* Three size classes: a cheap record is evicted before similar ones, but not before records that
 * are used far less. */
#define CHEAP_FACTOR 64

int64_t prune_score_size(const struct prune_record *r)
{
	if (!r->cheap)
		return r->size_bytes;
	return r->size_bytes > INT64_MAX / CHEAP_FACTOR ? INT64_MAX : r->size_bytes * CHEAP_FACTOR;
}

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

/* In seconds, since it is shown; what this rounds off, the tie-break by last use puts right. */
static double last_use(const struct prune_record *r)
{
	return (double)(r->last_used_ns > 0 ? r->last_used_ns : 0) / NS_PER_S;
}

/* The creation counts as one use, so that of the unused records the largest are evicted first. */
static double uses_per_mib(const struct prune_record *r)
{
	int64_t size = prune_score_size(r);
	double bytes = (double)(size > SMALLEST_BYTES ? size : SMALLEST_BYTES);

	return r->inflation + ((double)r->usage_count + 1) * (1 << 20) / bytes;
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
	.size_classes = SIZE_CLASSES,
	.size_class = class_by_magnitude,
	.size_term = term_by_magnitude,
};

const struct prune_scorer prune_scorer_lru = {
	.name = "lru",
	.size_classes = 1,
	.size_class = one_class,
	.size_term = no_term,
	.worth = last_use,
};

const struct prune_scorer prune_scorer_gdsf = {
	.name = "gdsf",
	.size_classes = 1,
	.size_class = one_class,
	.size_term = no_term,
	.worth = uses_per_mib,
};

const struct prune_scorer prune_scorer_forecast = {
	.name = "forecast",
	.size_classes = 1,
	.size_class = one_class,
	.size_term = no_term,
	.by_blocks = true,
};

double prune_score_byte_s(double seconds, double bytes)
{
	if (!(bytes > 0))
		return BYTE_DEFAULT_S;
	return fmax(BYTE_SHARE * seconds / bytes, BYTE_MIN_S);
}

static double find_byte_s(const struct prune_record *records, size_t count)
{
	double seconds = 0, bytes = 0;

	for (size_t i = 0; i < count; i++)
		if (records[i].seconds > 0) {
			seconds += records[i].seconds;
			bytes += (double)records[i].size_bytes;
		}
	return prune_score_byte_s(seconds, bytes);
}

void prune_score_losses(const struct prune_record *records, size_t count, double *ret_losses)
{
	double byte_s = find_byte_s(records, count);

	for (size_t i = 0; i < count; i++) {
		int64_t bytes = records[i].size_bytes > PRUNE_BLOCK_SMALLEST_BYTES
					? records[i].size_bytes
					: PRUNE_BLOCK_SMALLEST_BYTES;

		ret_losses[i] =
			records[i].need_rate * (records[i].seconds + (double)bytes * byte_s);
	}
}

void prune_score_forecast(const struct prune_scorer *scorer, struct prune_record *r, int64_t now_ns)
{
	if (!scorer->by_blocks)
		return;
	r->need_rate =
		forecast_rate_untaught(r->created_ns, r->last_used_ns, r->usage_count, now_ns);
}

const struct prune_scorer *const prune_scorers[PRUNE_SCORERS] = {
	&prune_scorer_access, &prune_scorer_buildkit, &prune_scorer_forecast,
	&prune_scorer_gdsf,   &prune_scorer_lru,
};

const struct prune_scorer *prune_scorer_find(const char *name)
{
	if (name[0] == '\0')
		return &prune_scorer_forecast;
	for (size_t i = 0; i < ARRAY_SIZE(prune_scorers); i++)
		if (strcmp(name, prune_scorers[i]->name) == 0)
			return prune_scorers[i];
	return NULL;
}

const char *prune_scorer_name(const char *name)
{
	return name && *name ? name : prune_scorer_find("")->name;
}
