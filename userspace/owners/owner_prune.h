/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the steps of a plan: asks the owner for each record or image, and looks afterwards at what
 * has really become of it. Leases and snapshots are never touched behind the owner's back. No lock
 * is held.
 */
#pragma once

#include "owners/owner_answer.h"
#include "owners/owner_plan.h"

/* What became of a step. */
struct owner_outcome {
	const char *owner; /* its name */
	const struct owner_step *step;
	const char *refused; /* why the record stays, as a sentence; NULL: it is gone */
	const char *reason; /* for the step, as a sentence */
};

struct owner_pruning {
	struct manager *m;
	const struct owner_question *question;
	const struct owner_plan *plan;
	const atomic_bool *cancelled;
	int (*stepped)(const struct owner_outcome *outcome, void *user);
	void *user;
	/* Results: */
	int64_t freed_bytes; /* of layers that are gone */
	int64_t refused_bytes; /* planned, of records that stay */
	size_t refused;
	size_t returned; /* records that the owner had removed, and lists again */
	size_t others; /* records that the owner removed without being asked for them */
};

/* Calls stepped() for each record; a negative return ends it. The results are right after a
 * failure, too. */
int owner_prune_run(struct owner_pruning *p, struct error *e);
/* The same for a plan that is only shown. */
int owner_prune_show(struct owner_pruning *p, struct error *e);
