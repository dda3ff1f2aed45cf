/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to layers, oldest first; what is known of the needs of each layer; and the same of
 * layers that are gone, by their identity, in case they are made again. Times are wall clock
 * nanoseconds, busy times milliseconds.
 */
#pragma once

#include "prune/forecast.h"
#include "store/change_set.h"

#define HISTORY_BY_SIZE 64 /* of "POLICY/SCORER" */

/* Never changes in meaning: it is what the database holds. */
enum history_event {
	HISTORY_MADE = 1, /* the layer is finished, or was there when the history began */
	HISTORY_NEEDED, /* with all below it */
	HISTORY_EVICTED,
	HISTORY_REMOVED, /* by its owner */
};

struct history_row {
	int64_t seq; /* the database chooses it; not in the order of time */
	int64_t at_ns;
	enum history_event event;
	const char *layer;
	const char *identity; /* see manager/history; "" where it has none */
	const char *below; /* the layer that it lies on, or "" */
	const char *record; /* its id, or "" */
	int64_t bytes; /* 0: not known */
	int64_t cost_ms; /* what it took to make; 0: not known */
	const char *by; /* of an eviction, and of what is made again after one: policy and scorer */
	int64_t since_ns; /* made again: how long after its eviction; else 0 */
};

struct past_row {
	const char *layer, *identity, *below;
	struct forecast_past past; /* its parent is not stored: it follows from `below` */
	int64_t cost_ms;
};

struct departed_row {
	const char *identity;
	struct forecast_past past;
	int64_t at_ns, bytes, cost_ms;
	const char *by; /* "" when its owner removed it */
};

/* What was evicted by a policy and scorer, and of that made again. */
struct regretted_row {
	int64_t layers, bytes, cost_ms;
};

struct regret_row {
	const char *by;
	int64_t evicted, evicted_bytes;
	struct regretted_row day, week; /* within 24 hours, within 7 days */
};

void history_rows_add(struct change_set *c, const struct history_row *row);
/* Deletes rows older than this, but those of layers that are there; and departed ones. */
void history_rows_trim(struct change_set *c, int64_t before_ns);
/* Deletes the oldest rows beyond this number. */
void history_rows_limit(struct change_set *c, int64_t rows);
void history_rows_set_past(struct change_set *c, const struct past_row *row);
void history_rows_delete_past(struct change_set *c, const char *layer);
void history_rows_set_departed(struct change_set *c, const struct departed_row *row);
void history_rows_delete_departed(struct change_set *c, const char *identity);

/* At most `limit` rows after the one of this time and number, oldest first. A negative return of a
 * visit ends it. */
int history_rows_load(sqlite3 *db, int64_t after_ns, int64_t after_seq, int64_t limit,
		      int (*visit)(const struct history_row *row, void *user), void *user,
		      struct error *e);
int history_rows_load_pasts(sqlite3 *db, int (*visit)(const struct past_row *row, void *user),
			    void *user, struct error *e);
int history_rows_load_departed(sqlite3 *db,
			       int (*visit)(const struct departed_row *row, void *user), void *user,
			       struct error *e);
/* Looks at evictions and regrets alone; the most evicted bytes first. */
int history_rows_load_regrets(sqlite3 *db, int (*visit)(const struct regret_row *row, void *user),
			      void *user, struct error *e);
/* When the history begins; 0: it is empty. */
int history_rows_find_begin(sqlite3 *db, int64_t *ret_at_ns, struct error *e);
