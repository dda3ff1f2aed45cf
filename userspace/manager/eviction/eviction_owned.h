/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots as a planner needs them, for plans over what other programs own. Such a plan asks the
 * owner, which removes its snapshots itself: nothing here evicts. Without the lock, which is never
 * held while an owner is asked.
 */
#pragma once

#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/record.h"
#include "manager/history/history_forecast.h"
#include "prune/prune_policy.h"
#include "prune/prune_record.h"
#include "prune/prune_score.h"

struct manager;

/* A snapshot as it was at one moment. */
struct eviction_owned {
	char *key; /* as containerd gives it: NAMESPACE/NUMBER/KEY */
	char id[RECORD_ID_LENGTH + 1], layer[LAYER_NAME_LENGTH + 1];
	enum snapshot_kind kind;
	size_t below; /* index of the snapshot that it lies on, or PRUNE_NO_PARENT */
	bool mounted; /* by the agent or by another process */
	bool kept_here; /* pinned, held by a lease of Varve, below a record that is not a snapshot,
			   or worked on */
	struct prune_record record; /* with neither id nor parent */
	struct history_forecast expected; /* of the scorer forecast; else zeros */
	int64_t last_read_ns;
	uint64_t opens;
	uint64_t fingerprint; /* differs when something about it has changed */
};

struct eviction_owned_list {
	struct eviction_owned *items; /* sorted by key */
	size_t count;
	struct prune_disk disk;
};

/* All snapshots, after a fold and with sizes as of now. -ENOMEM, -ECANCELED. */
int eviction_owned_gather(struct manager *m, const struct prune_scorer *scorer,
			  const atomic_bool *cancelled, struct eviction_owned_list *ret_list,
			  struct error *e);
void eviction_owned_free(struct eviction_owned_list *list); /* what it points to */
DEFINE_CLEANUP_VALUE(struct eviction_owned_list, eviction_owned_free)

/* Whether containerd still has the record, by its id, as a snapshot, and the store the layer. */
bool eviction_owned_has_snapshot(struct manager *m, const char *id);
bool eviction_owned_has_layer(struct manager *m, const char *layer);
/* The fingerprint of the record as of now, after a fold; 0: the record does not exist. */
uint64_t eviction_owned_fingerprint(struct manager *m, const char *id);
/* Returns when the files of removed layers are off the disk. */
void eviction_owned_settle(struct manager *m);
