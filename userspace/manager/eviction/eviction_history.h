/* SPDX-License-Identifier: Apache-2.0 */
/* What services show of the history. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "graph/record.h"
#include "store/history_rows.h"

struct manager;

struct history_view {
	int64_t seq, at_ns;
	enum history_event event;
	char layer[LAYER_NAME_LENGTH + 1], below[LAYER_NAME_LENGTH + 1]; /* "": none */
	char record[RECORD_ID_LENGTH + 1]; /* "": the event is the layer's */
	char identity[DIGEST_TEXT_SIZE];
	char by[HISTORY_BY_SIZE];
	int64_t bytes, cost_ms; /* 0: not known */
	int64_t since_ns; /* made again: time since the eviction */
};

struct history_query {
	const char *id; /* of a record, or a prefix; "" for all */
	int64_t since_ns;
	const atomic_bool *cancelled;
};

/* Visits what happened, oldest first; a negative return of the visit ends it, and is
 * returned. The visit may take its time: no lock is held. -ENOENT, -ECANCELED. */
int eviction_history(struct manager *m, const struct history_query *query,
		     int (*visit)(const struct history_view *event, void *user), void *user,
		     struct error *e);

struct history_regretted {
	uint64_t layers;
	int64_t bytes, cost_ms; /* that making them again took */
};

/* What one policy evicted by one scorer, and what of it was made again. */
struct history_regret {
	char by[HISTORY_BY_SIZE];
	uint64_t evicted; /* layers */
	int64_t evicted_bytes;
	struct history_regretted day, week; /* within 24 hours, within 7 days */
};

/* *ret_regrets is the caller's, the most evicted bytes first. `as_written`: without what happened
 * in the last seconds, for callers that must not wait. -ENOMEM. */
int eviction_history_regrets(struct manager *m, bool as_written, const atomic_bool *cancelled,
			     struct history_regret **ret_regrets, size_t *ret_count,
			     int64_t *ret_since_ns, struct error *e);
