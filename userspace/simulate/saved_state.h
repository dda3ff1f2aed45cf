/* SPDX-License-Identifier: Apache-2.0 */
/* Output of `varve du --json`, saved to a file, and what a prune of it would evict. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct saved_state;

/* "-" is standard input. -EINVAL names file and line: no record, an id that is there twice, several
 * parents, a loop of parents. A parent that is not in the file counts as none. */
int saved_state_read(const char *path, struct saved_state **ret_state, struct error *e);
void saved_state_free(struct saved_state *s);
DEFINE_CLEANUP(struct saved_state *, saved_state_free)

struct saved_state_options {
	const char *scorer; /* "" for the default one */
	bool all; /* internal, frontend and shared records, too */
	const char *const *filters;
	size_t filter_count;
	int64_t keep_duration_ns, keep_bytes; /* 0: no limit */
	int64_t now_ns; /* wall clock */
};

struct saved_state_step {
	const char *id; /* the state's */
	int64_t size_bytes; /* -1: not measured, and counted as nothing */
	double score;
};

/* What would be evicted, in that order; the caller frees it. *ret_remaining: what is left of the
 * bytes that are not shared. -EINVAL: an unknown scorer, a malformed filter. */
int saved_state_plan(const struct saved_state *s, const struct saved_state_options *o,
		     struct saved_state_step **ret_steps, size_t *ret_count, int64_t *ret_remaining,
		     struct error *e);
