/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache manager: records with their layers, mounts, refs and statistics. The only place for
 * locks and for the order of database, files and mounts. Every function of its rooms may be called
 * from any thread, may block, and leaves nothing behind when it fails. Ids may be unique prefixes.
 * Errors: -ENOENT no such thing · -EBUSY held, locked or mounted in use · -ENOTEMPTY has children ·
 * -EINVAL not possible for this kind of record · -EMFILE too deep · -ENOSPC · -ECANCELED.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/record.h"
#include "prune/prune_keeping.h"
#include "prune/prune_policy.h"
#include "usage/usage_bpf.h"

struct manager;

struct manager_options {
	const char *root; /* the store's directory, absolute; made where it is missing */
	bool backend_forced;
	enum usage_backend backend; /* when forced */
	bool default_root; /* its pins are in .../varve/v2, those of other stores beside it */
	const struct prune_policies *policies; /* borrowed as long as the manager; NULL: none */
	bool automatic; /* they are due without being asked for */
	int64_t policy_interval_ns; /* between two runs; 0: only when space runs low */
	const char *fetch_helper; /* the program varve-fetch */
	const char *credentials_file; /* for registries, or NULL */
	bool drop_blobs; /* of layers that have their files: they are fetched or packed anew */
	const char *const *upkeep; /* whose reads are upkeep: see usage_upkeep_names.h; borrowed */
	size_t upkeep_count;
	int64_t keep_readers_ns; /* after their last read; 0: always */
	bool agent_mounts; /* snapshots are mounted by the agent, not by its clients */
	struct prune_keeping keeping; /* of layers that containerd has removed */
	bool share_namespaces; /* layers are found again in other namespaces of containerd */
	bool quarantine_layers; /* of a store whose database is lost, and only of such a one */
	bool rebuild_database; /* of what can be read in the present one */
	bool passing; /* to be closed at once: no programs are attached that were not before */
	/* What start-up found and did, and what background work could not do; a line each. */
	void (*report)(bool problem, const char *text, void *user);
	void *user;
};

/* Makes a manager whose store is not open: only manager_events() and manager_info() may be called.
 */
int manager_new(const struct manager_options *options, struct manager **ret_manager,
		struct error *e);
/* Opens the store, takes its lock, and reconciles database, files and mounts. With the same
 * options. Other threads may ask for manager_info() meanwhile. -EBUSY: another agent has it.
 * -ENOENT: the store has layers or blobs, and no database. After a failure, the manager can only be
 * closed. */
int manager_open(struct manager *m, const struct manager_options *options, struct error *e);

/* A last fold; mounts and counting stay. No call may be under way. */
void manager_close(struct manager *m);
DEFINE_CLEANUP(struct manager *, manager_close)

/* Unmounts everything of the store and unpins its counters. Before manager_close(). */
int manager_tear_down(struct manager *m, struct error *e);

/* What this process reads in layers is upkeep, and not a use: see usage_upkeep.h. */
int manager_mark_upkeep(struct manager *m, int pidfd, struct error *e);

struct event_ring;

/* What happens, see event_ring.h. It lives as long as the manager. */
struct event_ring *manager_events(struct manager *m);

struct manager_info {
	bool starting; /* the store is being opened; `records` have been read so far */
	char store_id[RECORD_ID_LENGTH + 1];
	char *root, *pin_directory;
	uint64_t records, layers, mounts, leases;
	enum usage_backend backend;
	uint32_t unseen_counters; /* see usage_reader.h */
	char *degraded_reason; /* NULL: accounting works */
	uint64_t disk_walks, folds, lost;
	int64_t started_ns;
	const char *mount_method;
};

int manager_info(struct manager *m, struct manager_info *ret_info, struct error *e);
void manager_info_free(struct manager_info *info);
DEFINE_CLEANUP_VALUE(struct manager_info, manager_info_free)
