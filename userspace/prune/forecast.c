/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/forecast.h"

#include <math.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MINUTE 60.0
#define QUIET_S (15 * MINUTE) /* what a pause counts at most; also the prior's time scale */
#define HALF_LIFE_S (30 * 24 * 60 * MINUTE)
#define MAX_WEIGHT 1e9 /* then everything is scaled down */

/* Classes: 4 by count, 8 by usual gap, 2 by whether the record is superseded. */
#define GAP_STEPS 8
#define FIRST_GAP_S (5 * MINUTE)
#define GAP_FACTOR 2.8

/* A younger sibling makes it more probable that the record is dead: by these odds, as long as the
 * parent has not seen more than this many replacements. */
#define SUPERSEDED_ODDS 3.0
#define SUPERSEDED_PRIOR 2.0
#define SUPERSEDED_MAX_ODDS 10.0
/* With smaller odds, siblings live beside each other. */
#define SUPERSEDED_MIN_ODDS 2.0
/* So many records below are looked at, which bounds the time for chains that never end. */
#define DEEPEST 32
/* So does that it was not even read in the minutes after it was made. */
#define UNREAD_ODDS 3.0
/* The usual gap follows the last few gaps, since workloads change. */
#define GAPS_THAT_COUNT 4.0
/* In place of the usual gap of a record with one need: it was read since it was made. */
#define READ_AT_ONCE (-1.0F)
#define MOST_NEEDS 1000000
#define LONGEST_LOG_GAP 30.0F /* of seconds: longer than any clock has run */
/* What the table leans on while it knows little. */
#define PRIOR_WEIGHT 4.0
#define PRIOR_RATE 0.5
#define PRIOR_IDLE_S (30 * MINUTE)
#define GAP_PRIOR_WEIGHT 2.0 /* of all rows, against the rows of the same gap */
/* So many returns of a class let its table count as much as the closed formula. */
#define TRUSTED_RETURNS 20.0
/* With so many returns in all rows, the table has learned. */
#define LEARNED_RETURNS 100.0

/* ---- the clock ---- */

void forecast_init(struct forecast *f)
{
	*f = (struct forecast){ .weight = 1 };
}

static double pause_s(const struct forecast *f, int64_t wall_ns)
{
	double seconds = ((double)wall_ns - (double)f->need_wall_ns) / NS_PER_S;

	if (f->need_wall_ns == 0 || seconds < 0)
		return 0;
	return fmin(seconds, QUIET_S);
}

double forecast_busy_s(const struct forecast *f, int64_t wall_ns)
{
	return f->busy_s + pause_s(f, wall_ns);
}

static void scale_row(struct forecast_row *row, double factor)
{
	for (size_t bin = 0; bin < FORECAST_BINS; bin++) {
		row->returns[bin] *= factor;
		row->idle_s[bin] *= factor;
	}
	row->returned *= factor;
}

static void weigh(struct forecast *f)
{
	f->weight *= exp2((f->busy_s - f->weighed_s) / HALF_LIFE_S);
	f->weighed_s = f->busy_s;
	if (f->weight < MAX_WEIGHT)
		return;
	for (size_t i = 0; i < FORECAST_CLASSES; i++)
		scale_row(&f->rows[i], 1 / f->weight);
	for (size_t i = 0; i < FORECAST_GAPS; i++)
		scale_row(&f->by_gap[i], 1 / f->weight);
	scale_row(&f->all, 1 / f->weight);
	f->weight = 1;
}

/* Needs may be told in another order than that in which they happened, by some seconds; only a
 * clock that was set back by more begins anew. */
void forecast_advance(struct forecast *f, int64_t wall_ns)
{
	int64_t back_ns = f->need_wall_ns - wall_ns;

	if (back_ns >= 0 && back_ns < (int64_t)(QUIET_S * NS_PER_S))
		return;
	f->busy_s += pause_s(f, wall_ns);
	f->need_wall_ns = wall_ns;
	weigh(f);
}

/* ---- the life table ---- */

static size_t bin_of(double idle_s)
{
	double minutes = idle_s / MINUTE;

	if (minutes < 1)
		return 0;
	return (size_t)fmin(floor(log2(minutes)) + 1, FORECAST_BINS - 1);
}

static double bin_begin_s(size_t bin)
{
	return bin == 0 ? 0 : MINUTE * exp2((double)bin - 1);
}

static double bin_end_s(size_t bin)
{
	return MINUTE * exp2((double)bin);
}

static size_t class_of(const struct forecast_past *record, bool superseded)
{
	size_t count = record->needs < 3 ? (record->needs < 2 ? 0 : 1) : record->needs < 6 ? 2 : 3;
	double step =
		record->needs < 2 ? 0 : (record->mean_log_gap - log(FIRST_GAP_S)) / log(GAP_FACTOR);
	size_t gap = (size_t)fmin(fmax(step, 0), GAP_STEPS - 1);

	return (count * GAP_STEPS + gap) * 2 + superseded;
}

/* ---- siblings ---- */

/* The odds that a child is dead after a younger one was made. */
static double replacing_odds(const struct forecast_past *parent)
{
	double odds = (SUPERSEDED_ODDS * SUPERSEDED_PRIOR + parent->replacements) /
		      (SUPERSEDED_PRIOR + parent->comebacks);

	return fmin(fmax(odds, 1), SUPERSEDED_MAX_ODDS);
}

static bool has_younger_sibling(const struct forecast_past *record)
{
	return record->parent && record->parent->child_s > record->last_s;
}

/* The odds that the record is dead because it, or a record below it, was replaced; and when that
 * was, if the odds are worth a class of their own. */
static double superseded_odds(const struct forecast_past *record, double *ret_since_s)
{
	double most = 1, since_s = INFINITY;

	for (int depth = 0; depth < DEEPEST && record->parent; depth++, record = record->parent) {
		double odds;

		if (!has_younger_sibling(record))
			continue;
		odds = replacing_odds(record->parent);
		most = fmax(most, odds);
		if (odds >= SUPERSEDED_MIN_ODDS)
			since_s = fmin(since_s, record->parent->child_s);
	}
	*ret_since_s = since_s;
	return most;
}

/* ---- the life table, continued: what is added to it ---- */

static void add_idle(struct forecast *f, size_t class, double from_s, double to_s)
{
	for (size_t bin = bin_of(from_s); bin < FORECAST_BINS && bin_begin_s(bin) < to_s; bin++) {
		double end_s = bin == FORECAST_BINS - 1 ? to_s : fmin(bin_end_s(bin), to_s);
		double part_s = f->weight * (end_s - fmax(bin_begin_s(bin), from_s));

		f->rows[class].idle_s[bin] += part_s;
		f->by_gap[class % FORECAST_GAPS].idle_s[bin] += part_s;
		f->all.idle_s[bin] += part_s;
	}
}

static void add_return(struct forecast *f, size_t class, double idle_s)
{
	struct forecast_row *rows[] = { &f->rows[class], &f->by_gap[class % FORECAST_GAPS],
					&f->all };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		rows[i]->returns[bin_of(idle_s)] += f->weight;
		rows[i]->returned += f->weight;
	}
}

static void count_idle(struct forecast *f, struct forecast_past *record, double now_s)
{
	double from_s = record->counted_s, since_s, split_s;

	if (now_s <= from_s)
		return;
	(void)superseded_odds(record, &since_s);
	split_s = fmin(fmax(since_s, from_s), now_s);
	add_idle(f, class_of(record, false), from_s - record->last_s, split_s - record->last_s);
	add_idle(f, class_of(record, true), split_s - record->last_s, now_s - record->last_s);
	record->counted_s = now_s;
}

void forecast_count_idle(struct forecast *f, struct forecast_past *record, int64_t wall_ns)
{
	if (record->needs > 0)
		count_idle(f, record, forecast_busy_s(f, wall_ns));
}

/* ---- what happens ---- */

static double within(double value, double low, double high)
{
	return isfinite(value) ? fmin(fmax(value, low), high) : low;
}

void forecast_past_mend(const struct forecast *f, struct forecast_past *record)
{
	record->first_s = within(record->first_s, 0, f->busy_s);
	record->last_s = within(record->last_s, record->first_s, f->busy_s);
	record->counted_s = within(record->counted_s, record->last_s, f->busy_s);
	record->child_s = within(record->child_s, 0, f->busy_s);
	if (!(record->mean_log_gap >= READ_AT_ONCE && record->mean_log_gap < LONGEST_LOG_GAP))
		record->mean_log_gap = 0;
	record->needs = (uint32_t)within(record->needs, 1, MOST_NEEDS);
	record->replacements = (uint32_t)within(record->replacements, 0, MOST_NEEDS);
	record->comebacks = (uint32_t)within(record->comebacks, 0, MOST_NEEDS);
}

void forecast_made(const struct forecast *f, struct forecast_past *record,
		   struct forecast_past *parent)
{
	*record = (struct forecast_past){
		.first_s = f->busy_s,
		.last_s = f->busy_s,
		.counted_s = f->busy_s,
		.parent = parent,
		.needs = 1,
	};
	if (!parent)
		return;
	if (parent->child_s > 0 && parent->replacements < MOST_NEEDS)
		parent->replacements++;
	parent->child_s = f->busy_s;
}

bool forecast_is_new_need(const struct forecast *f, const struct forecast_past *record)
{
	return record->needs > 0 && f->busy_s - record->last_s >= FORECAST_NEED_S;
}

static bool is_unread(const struct forecast_past *record)
{
	return record->needs == 1 && record->mean_log_gap >= 0;
}

bool forecast_is_news(const struct forecast *f, const struct forecast_past *record)
{
	return is_unread(record) || forecast_is_new_need(f, record);
}

void forecast_needed(struct forecast *f, struct forecast_past *record)
{
	double gap_s = f->busy_s - record->last_s, since_s;

	if (!forecast_is_new_need(f, record)) {
		if (is_unread(record))
			record->mean_log_gap = READ_AT_ONCE;
		return;
	}
	count_idle(f, record, f->busy_s);
	(void)superseded_odds(record, &since_s);
	add_return(f, class_of(record, since_s <= f->busy_s), gap_s);
	if (has_younger_sibling(record) && record->parent->comebacks < MOST_NEEDS)
		record->parent->comebacks++;

	record->mean_log_gap +=
		(float)((log(gap_s) - record->mean_log_gap) / fmin(record->needs, GAPS_THAT_COUNT));
	if (record->needs < MOST_NEEDS)
		record->needs++;
	record->last_s = record->counted_s = f->busy_s;
}

/* ---- the estimate ---- */

/* How probable a return is in the next second, after an idle time in this bin. */
static double hazard(const struct forecast *f, const struct forecast_row *row, size_t bin)
{
	const struct forecast_row *by_gap = &f->by_gap[(size_t)(row - f->rows) % FORECAST_GAPS];
	double prior = PRIOR_RATE / (bin_begin_s(bin) + PRIOR_IDLE_S);
	double pooled = (f->all.returns[bin] / f->weight + PRIOR_WEIGHT) /
			(f->all.idle_s[bin] / f->weight + PRIOR_WEIGHT / prior);

	pooled = (by_gap->returns[bin] / f->weight + GAP_PRIOR_WEIGHT) /
		 (by_gap->idle_s[bin] / f->weight + GAP_PRIOR_WEIGHT / pooled);
	return (row->returns[bin] / f->weight + 1) / (row->idle_s[bin] / f->weight + 1 / pooled);
}

/* The best, over all horizons, of how probable a return is by then for each second of waiting until
 * the return or the horizon (a Gittins index): a record that comes back tomorrow morning is worth
 * keeping although no workload needs it tonight. */
static double rate_by_table(const struct forecast *f, const struct forecast_row *row, double idle_s)
{
	double survival = 1, waited_s = 0, best = 0;

	for (size_t bin = bin_of(idle_s); bin < FORECAST_BINS; bin++) {
		double width_s = bin_end_s(bin) - fmax(bin_begin_s(bin), idle_s);
		double h = hazard(f, row, bin);
		double stays = exp(-h * fmax(width_s, MINUTE));

		waited_s += survival * (1 - stays) / h;
		survival *= stays;
		best = fmax(best, (1 - survival) / waited_s);
	}
	return best;
}

static double rate_by_formula(const struct forecast_past *record, double superseded, double now_s)
{
	double odds = superseded * (is_unread(record) ? UNREAD_ODDS : 1);
	double needs = (double)record->needs - 1;
	double age_s = now_s - record->first_s, last_age_s = record->last_s - record->first_s;
	double silence = log((age_s + QUIET_S) / (last_age_s + QUIET_S)) * (needs + 1);
	double dead = odds / fmax(needs, 1) * exp(fmin(silence, 500));

	return (needs + 1) / (age_s + QUIET_S) / (1 + dead);
}

double forecast_usual_gap_s(const struct forecast_past *record)
{
	return record->needs < 2 ? 0 : exp((double)record->mean_log_gap);
}

bool forecast_was_read(const struct forecast_past *record)
{
	return !is_unread(record);
}

double forecast_rate(const struct forecast *f, const struct forecast_past *record, int64_t wall_ns)
{
	double now_s = forecast_busy_s(f, wall_ns), since_s, trust;
	double odds = superseded_odds(record, &since_s);
	const struct forecast_row *row = &f->rows[class_of(record, since_s <= now_s)];

	if (record->needs == 0)
		return 0;
	trust = row->returned / (row->returned + TRUSTED_RETURNS * f->weight);
	return pow(rate_by_table(f, row, now_s - record->last_s), trust) *
	       pow(rate_by_formula(record, odds, now_s), 1 - trust);
}

bool forecast_has_learned(const struct forecast *f)
{
	return f->all.returned >= LEARNED_RETURNS * f->weight;
}

double forecast_rate_untaught(int64_t created_ns, int64_t last_used_ns, uint64_t uses,
			      int64_t wall_ns)
{
	double now_s = (double)wall_ns / NS_PER_S;
	double created_s = fmin((double)created_ns / NS_PER_S, now_s);
	double last_s = fmin((double)last_used_ns / NS_PER_S, now_s);
	struct forecast_past past = {
		.first_s = created_s,
		.last_s = fmax(created_s, last_s),
		.mean_log_gap = last_s > created_s ? READ_AT_ONCE : 0,
		.needs = last_s > created_s ? 1 + (uint32_t)(uses < 1000 ? uses : 1000) : 1,
	};

	return rate_by_formula(&past, 1, now_s);
}

/* ---- for people ---- */

double forecast_half_life_s(void)
{
	return HALF_LIFE_S;
}

double forecast_learned_returns(void)
{
	return LEARNED_RETURNS;
}

/* The reverse of class_of(). */
static struct forecast_class decode_class(size_t class)
{
	static const uint32_t needs[][2] = { { 1, 1 }, { 2, 2 }, { 3, 5 }, { 6, 0 } };
	size_t gap = class / 2 % GAP_STEPS, count = class / 2 / GAP_STEPS;
	struct forecast_class c = { .superseded = class % 2,
				    .needs_from = needs[count][0],
				    .needs_to = needs[count][1] };

	if (count == 0)
		return c;
	c.gap_from_s = gap == 0 ? 0 : FIRST_GAP_S * pow(GAP_FACTOR, (double)gap);
	c.gap_to_s = gap == GAP_STEPS - 1 ? 0 : FIRST_GAP_S * pow(GAP_FACTOR, (double)gap + 1);
	return c;
}

bool forecast_describe(const struct forecast *f, size_t class, struct forecast_class *ret_class)
{
	const struct forecast_row *row = &f->rows[class];
	struct forecast_class c = decode_class(class);

	for (size_t bin = 0; bin < FORECAST_BINS; bin++) {
		c.cells[bin] = (struct forecast_cell){
			.from_s = bin_begin_s(bin),
			.to_s = bin == FORECAST_BINS - 1 ? 0 : bin_end_s(bin),
			.returns = row->returns[bin] / f->weight,
			.idle_s = row->idle_s[bin] / f->weight,
			.needed_again_s = 1 / rate_by_table(f, row, bin_begin_s(bin)),
		};
		c.returns += c.cells[bin].returns;
		c.idle_s += c.cells[bin].idle_s;
	}
	if (!(c.returns > 0) && !(c.idle_s > 0))
		return false;
	c.trust = c.returns / (c.returns + TRUSTED_RETURNS);
	*ret_class = c;
	return true;
}
