/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the agent for what a live view shows, each thing as often as it is worth it: what makes the
 * agent look at every record is asked for less often the longer that takes. An agent that goes away
 * is noted in the state, and asked again at the next tick.
 */
#pragma once

#include "cli/cli.h"
#include "cli/top/top_state.h"

struct top_feed {
	struct cli *cli;
	int64_t interval_ns;
	size_t rows; /* how many are wanted */
	bool was_there; /* the agent has answered once */
	/* When these are due, by the monotonic clock. */
	int64_t order_ns, sums_ns, policies_ns, regrets_ns, readers_ns, owners_ns, events_ns;
	int64_t events_instance_ns;
	uint64_t events_seq;
	uint64_t program_run_ns;
	int64_t program_time_ns, program_started_ns; /* of the agent's last answer with them */
};

/* Brings the state up to date. `all`: whatever is due later is asked for now. A failure is that of
 * an agent that was never there, or a refused request; not that of one that has gone away. */
int top_feed_tick(struct top_feed *f, struct top_state *s, bool all, struct error *e);
/* Each makes a page, or a notice, of the answer. */
void top_feed_detail(struct top_feed *f, struct top_state *s);
void top_feed_explain(struct top_feed *f, struct top_state *s);
void top_feed_pin(struct top_feed *f, struct top_state *s);
/* Makes a notice of a call that failed; an agent that is away is noted. */
void top_feed_refuse(struct top_feed *f, struct top_state *s, int code, const struct error *e);
