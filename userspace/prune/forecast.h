/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: when a record will be needed again, learned from when records were needed before.
 *
 * A need is a read of the record or of a record above it. The clock counts busy seconds: the time
 * between two needs of anything adds 15 minutes at most, so that nights, holidays and clocks that
 * jump forward count little, and a clock that steps back adds nothing.
 *
 * A record is superseded when a younger sibling was made since its last need, or since that of a
 * record below it; but not where siblings live beside each other, as on a base image: whether new
 * children take the place of old ones is learned for each parent.
 *
 * Two estimates are blended. One is a closed formula over the record's own needs ("buy till you
 * die": a record is needed at some rate until it dies, and long silence means that it is dead). The
 * other is a life table of this host: how often records of one class (count of needs, usual gap
 * between them, superseded or not) came back after so much idle time. The
 * more returns a class has seen, the more the table counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORECAST_CLASSES 64
#define FORECAST_GAPS                                                              \
	16 /* classes that differ in the count of needs alone share a row of these \
	    */
#define FORECAST_BINS 23 /* idle time: below a minute, then doubling */
/* A need within this time of the one before is the same need. */
#define FORECAST_NEED_S 600

/* The past of one record, in busy seconds. All 0 is a record that was never made. */
struct forecast_past {
	double first_s, last_s; /* needs; the first is its creation */
	double counted_s; /* its idle time up to here is in the table */
	double child_s; /* when its youngest child was made; 0: never */
	/* The record below, which must stay where it is as long as this one; NULL: there is none.
	 * The caller owns it, and sets it whenever it has copied a past. */
	struct forecast_past *parent;
	float mean_log_gap; /* of the seconds between its last needs; with one need, negative once
			       it was read */
	uint32_t needs;
	/* How often a child was made while it had others, and how often one of these others was
	 * needed again afterwards: whether a new child of it takes the place of an old one. */
	uint32_t replacements, comebacks;
};
_Static_assert(sizeof(struct forecast_past) <= 64, "what a record costs is promised");

/* A row of the table: returns and idle seconds by bin, each new one worth more than all older ones
 * by the same factor, which is how old ones fade. */
struct forecast_row {
	double returns[FORECAST_BINS], idle_s[FORECAST_BINS];
	double returned; /* sum of the returns */
};

struct forecast {
	double busy_s;
	int64_t need_wall_ns; /* the last need of anything; 0: none yet */
	double weight; /* of a return that happens now */
	double weighed_s; /* when the weight was worked out */
	struct forecast_row rows[FORECAST_CLASSES];
	/* Sums over the rows, which rows lean on that have seen little. */
	struct forecast_row by_gap[FORECAST_GAPS];
	struct forecast_row all;
};

void forecast_init(struct forecast *f);
/* The busy time at this moment. */
double forecast_busy_s(const struct forecast *f, int64_t wall_ns);
/* Something is needed now: moves the clock. Call it before the records that are needed. */
void forecast_advance(struct forecast *f, int64_t wall_ns);

/* A record is made on top of the parent, or of nothing (NULL). */
void forecast_made(const struct forecast *f, struct forecast_past *record,
		   struct forecast_past *parent);
/* Makes a past that was stored a possible one: nothing in it is later than now. */
void forecast_past_mend(const struct forecast *f, struct forecast_past *record);
/* Whether a need at this moment would be more than the one before. */
bool forecast_is_new_need(const struct forecast *f, const struct forecast_past *record);
/* The same, or the first read of a record that was made just before: it changes the past. */
bool forecast_is_news(const struct forecast *f, const struct forecast_past *record);
/* The record is needed, or a record above it. Call it also for a record that was evicted and is
 * made again: that is a return. */
void forecast_needed(struct forecast *f, struct forecast_past *record);
/* Adds the record's idle time up to now to the table. Do so for all records before a plan. */
void forecast_count_idle(struct forecast *f, struct forecast_past *record, int64_t wall_ns);

/* Busy seconds between its needs; 0: there was one. */
double forecast_usual_gap_s(const struct forecast_past *record);
/* Whether it was read since it was made. */
bool forecast_was_read(const struct forecast_past *record);
/* Needs per busy second that are expected of the record; "needed again in about" is 1 / rate. */
double forecast_rate(const struct forecast *f, const struct forecast_past *record, int64_t wall_ns);
/* Whether the table has seen enough returns to be believed. Until then a record that was read is
 * kept longer than any that was not, see prune_record.h. */
bool forecast_has_learned(const struct forecast *f);
/* The same for a record of which only these are known, and by the closed formula alone: in wall
 * seconds. last_used_ns 0: never. */
double forecast_rate_untaught(int64_t created_ns, int64_t last_used_ns, uint64_t uses,
			      int64_t wall_ns);

/* What the table knows of records of one class, for people. */
struct forecast_class {
	uint32_t needs_from, needs_to; /* its creation included; to 0: and more */
	double gap_from_s, gap_to_s; /* usual time between needs; to 0: and more; both 0: none */
	bool superseded; /* a younger one took its place, or that of a record below it */
	double returns, idle_s; /* as if they had happened now */
	double trust; /* from 0 to 1: how much the table counts, against the formula */
	struct forecast_cell {
		double from_s, to_s; /* idle time; to 0: and more */
		double returns, idle_s;
		double needed_again_s; /* expected after so much idle time */
	} cells[FORECAST_BINS];
};

/* False for a class that has learned nothing. */
bool forecast_describe(const struct forecast *f, size_t class, struct forecast_class *ret_class);
double forecast_half_life_s(void);
/* So many returns, and the table has learned. */
double forecast_learned_returns(void);
