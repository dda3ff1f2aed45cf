/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: what a workload would have met in a store with a limit. Whenever the limit is exceeded, the
 * planner evicts by the scorer until a tenth of the limit is free. The record of the
 * present event is kept, with all of its ancestors. A use of a record that was evicted makes it
 * again, with the ancestors that are missing. Asking for an evicted record does not bring it back;
 * reading it does.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "prune/prune_score.h"
#include "simulate/trace_file.h"

struct trace_replay {
	uint64_t uses, hits;
	double use_bytes, hit_bytes; /* sums of sizes; beyond 2^63 in long traces */
	double recreated_bytes, recreated_s; /* made again; what that costs */
	uint64_t evicted; /* records */
	int64_t most_bytes; /* that were kept at the end of an event */
};

/* -ENOMEM. */
int trace_replay(const struct trace *t, int64_t limit_bytes, const struct prune_scorer *scorer,
		 struct trace_replay *ret_replay, struct error *e);
/* Like trace_replay(), with an evictor that knows the future and evicts first what will be needed
 * last (Belady), or those whose loss for each byte, until then, is smallest; the better one. */
int trace_replay_clairvoyant(const struct trace *t, int64_t limit_bytes,
			     struct trace_replay *ret_replay, struct error *e);
/*
 * What every evictor has to make again, whatever it knows. To keep a record from one need of it to
 * the next takes its size times the events between them, and there are only limit times events to
 * give away, which go where they save most (the relaxation of Berger, Beckmann and Harchol-Balter's
 * "Practical Bounds on Optimal Caching with Variable Object Sizes"). -ENOMEM.
 */
int trace_bound(const struct trace *t, int64_t limit_bytes, double *ret_recreated_bytes,
		struct error *e);
