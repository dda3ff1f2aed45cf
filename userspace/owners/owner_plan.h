/* SPDX-License-Identifier: Apache-2.0 */
/* What an owner would be asked to remove, in which order. */
#pragma once

#include "manager/eviction/eviction_run.h"
#include "manager/eviction/eviction_steps.h"
#include "owners/owner_view.h"
#include "prune/prune_plan.h"

/* A layer that the store has for a record, or that goes with an image. */
struct owner_step_layer {
	char record[RECORD_ID_LENGTH + 1], layer[LAYER_NAME_LENGTH + 1]; /* Varve's */
	uint64_t fingerprint;
	int64_t size_bytes; /* that its removal frees */
};

/* One record, or one image; the texts are the step's. */
struct owner_step {
	char *id, *parent, *description, *type;
	bool is_mutable, shared;
	/* Of an image; NULL: a record of the cache. */
	char *namespace, *digest;
	char **tags;
	size_t tag_count;
	struct owner_step_layer *layers; /* one at least */
	size_t layer_count;
	int64_t created_ns;
	struct eviction_planned planned; /* without ids, and without a fingerprint */
};

struct owner_plan {
	char *owner;
	bool all; /* records that images share, too */
	struct owner_step *steps;
	size_t count;
	int64_t freed_bytes, remaining_bytes, freed_inodes;
};

/* Plans over the view. The goal that the options mean is *ret_goal. */
int owner_plan_make(const struct owner_view *v, const struct owner_settings *o,
		    const struct eviction_options *options, const struct prune_scorer *scorer,
		    struct owner_plan *ret_plan, struct prune_goal *ret_goal, struct error *e);
void owner_plan_free(struct owner_plan *plan); /* what it points to */
DEFINE_CLEANUP_VALUE(struct owner_plan, owner_plan_free)

/* Whether a layer of the step was used, changed or removed since the plan was made. */
bool owner_step_is_stale(struct manager *m, const struct owner_step *s);

/* Why the goal is missed, from the bytes that are missing. */
void owner_plan_explain_shortfall(const struct owner_view *v, int64_t refused_bytes,
				  struct eviction_summary *s);
