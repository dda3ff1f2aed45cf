/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to layers, and what the agent learned of it: when each was needed, what it cost to
 * make, what was evicted and made again. The other rooms tell it what they do; a fold writes it to
 * the database. All functions want the lock unless they say otherwise.
 *
 * Identity is what tells that a layer is made again: its chain id; else the chain id in its
 * snapshot's name; else a digest of its description, its type and what it lies on. A layer without
 * a description has none, and its past ends with it.
 */
#pragma once

#include "manager/state/manager_state.h"
#include "store/history_rows.h"

/* Begins the pasts of a record and of those below it, if they are older than the history. */
void history_recall(struct manager *m, const struct record *r);
/* A record has got a layer of its own. */
void history_begin(struct manager *m, const struct record *r);
/* The record was not made after all. */
void history_undone(struct manager *m, const char *layer);
/* The layer is finished, or is lazy. If it was evicted before, it gets its past back, and that is a
 * regret. */
void history_made(struct manager *m, const struct record *r);
/* A lazy layer has got its files, by unpacking or fetching, which took so long. */
void history_filled(struct manager *m, const struct layer *layer, const char *record,
		    int64_t took_ns);
/* The layer was worked on for all of this time, past the mounts that the kernel counts. */
void history_took(struct manager *m, const char *layer, int64_t from_ns, int64_t to_ns);
/* The kernel saw work in a layer that is being made, since the last fold. */
void history_worked(struct manager *m, const char *layer, int64_t now_ns);
/* The layer was read: it is needed, with all below it. */
void history_needed(struct manager *m, const char *layer, int64_t now_ns);
/* The record goes, with its layer: the rows for the transaction that deletes it, and, once that is
 * written, the end of its past. by: "POLICY/SCORER" of an eviction, NULL when its owner removed it.
 */
void history_departing(struct manager *m, const struct record *r, const char *by, int64_t now_ns,
		       struct change_set *c);
void history_departed(struct manager *m, const char *layer, const char *by, int64_t now_ns);
/* The same for a layer that is evicted, and whose record stays, lazy. */
void history_falling_back(struct manager *m, const struct record *r, const char *by, int64_t now_ns,
			  struct change_set *c);
void history_fell_back(struct manager *m, const char *layer, const char *by, int64_t now_ns);
