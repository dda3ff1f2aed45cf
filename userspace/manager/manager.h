/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache manager: records with their layers, mounts, refs and statistics. The only place for
 * locks and for the order of database, files and mounts. Every function may be called from any
 * thread, may block, and leaves nothing behind when it fails. Ids may be unique prefixes.
 * Errors: -ENOENT no such thing · -EBUSY held, locked or mounted in use · -ENOTEMPTY has children ·
 * -EINVAL not possible for this kind of record · -EMFILE too deep · -ENOSPC · -ECANCELED.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/record.h"
#include "overlay/overlay_probe.h"
#include "prune/prune_policy.h"
#include "usage/usage_reader.h"

struct manager;

/* Limits on what a client can grow. */
#define MANAGER_DESCRIPTION_MAX 4096
#define MANAGER_TYPE_MAX 64
#define MANAGER_LABELS_MAX 256
#define MANAGER_LABEL_TEXT_MAX 4096
#define MANAGER_LEASE_NAME_MAX 256
#define MANAGER_NEEDS_MAX 100000 /* of one lease */
#define MANAGER_RECORDS_MAX 1000000

/* The lease of the command line, which always exists and never expires. */
#define MANAGER_CLI_LEASE "cli"

struct manager_options {
	const char *root; /* the store's directory, absolute; made where it is missing */
	bool backend_forced;
	enum usage_backend backend; /* when forced */
	bool default_root; /* its pins are in .../varve/v1, those of other stores beside it */
	const struct prune_policies *policies; /* borrowed as long as the manager; NULL: none */
	bool automatic; /* they are due without being asked for */
	int64_t policy_interval_ns; /* between two runs; 0: only when space runs low */
	const char *fetch_helper; /* the program varve-fetch */
	const char *credentials_file; /* for registries, or NULL */
	bool drop_blobs; /* of layers that have their files: they are fetched or packed anew */
	/* What start-up found and did, and what background work could not do; a line each. */
	void (*report)(bool problem, const char *text, void *user);
	void *user;
};

/* Opens the store, takes its lock, and reconciles database, files and mounts. -EBUSY: another
 * agent has it. */
int manager_open(const struct manager_options *options, struct manager **ret_manager,
		 struct error *e);
/* A last fold; mounts and counting stay. No call may be under way. */
void manager_close(struct manager *m);
DEFINE_CLEANUP(struct manager *, manager_close)
/* Unmounts everything of the store and unpins its counters. Before manager_close(). */
int manager_tear_down(struct manager *m, struct error *e);

/* Who holds the refs that a call takes: a lease by name, or a connection's own one. */
struct manager_holder {
	const char *lease; /* "" or NULL: the connection's ephemeral lease */
	uint64_t connection;
};

struct manager_new_record {
	const char *parent; /* "" or NULL: none */
	const char *description;
	const char *type; /* "" or NULL: regular */
	bool retain;
	int64_t created_ns; /* 0: now */
	const struct record_label *labels;
	size_t label_count;
	const char *const *image_refs;
	size_t image_ref_count;
	/* How its mounts show owners, see base/id_map.h; NULL or "": as the lease's map says, if it
	 * has one. */
	const char *uid_map, *gid_map;
	const atomic_bool *cancelled; /* what the parent's layers lack may take long; may be NULL */
};

/* A mutable record, mounted and held. *ret_mountpoint is the caller's to free. -ENOTSUP: the kernel
 * cannot map ids in this store. */
int manager_new(struct manager *m, const struct manager_new_record *options,
		const struct manager_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		char **ret_mountpoint, struct error *e);

struct manager_mount_options {
	bool read_only;
	/* A lease that holds the record, whose map of ids is for a record without one; NULL or "":
	 * none. */
	const char *lease;
};

/* -EBUSY: also when it is mounted with another map of ids. */
int manager_mount(struct manager *m, const char *id, const struct manager_mount_options *options,
		  char ret_id[RECORD_ID_LENGTH + 1], char **ret_mountpoint, struct error *e);
int manager_unmount(struct manager *m, const char *id, struct error *e);
int manager_commit(struct manager *m, const char *id, const struct manager_holder *holder,
		   char ret_id[RECORD_ID_LENGTH + 1], struct error *e);
int manager_finalize(struct manager *m, const char *id, struct error *e);

struct manager_get_options {
	bool is_mutable; /* GetMutable */
	bool no_use;
	const char *const *image_refs; /* appended to the record */
	size_t image_ref_count;
};

int manager_get(struct manager *m, const char *id, const struct manager_get_options *options,
		const struct manager_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		struct error *e);
int manager_release(struct manager *m, const char *id, const struct manager_holder *holder,
		    struct error *e);
int manager_remove(struct manager *m, const char *id, struct error *e);

struct manager_new_lease {
	const char *name;
	int64_t expires_after_ns; /* 0: never */
	const char *uid_map, *gid_map; /* for what is made and mounted through it; NULL or "" */
};

int manager_lease_create(struct manager *m, const struct manager_new_lease *options,
			 struct error *e);
/* Releases what it holds. */
int manager_lease_remove(struct manager *m, const char *name, struct error *e);
/* Does not block. */
bool manager_has_connection_lease(struct manager *m, uint64_t connection);
/* The connection's own lease goes, if there is one. */
void manager_connection_closed(struct manager *m, uint64_t connection);

/* Neither prune nor rm takes a pinned record. Both halves of a twin are pinned together. */
int manager_pin(struct manager *m, const char *id, bool pinned, char ret_id[RECORD_ID_LENGTH + 1],
		struct error *e);

struct manager_label_change {
	const struct record_label *set;
	size_t set_count;
	const char *const *removed; /* keys; one that is not there is no error */
	size_t removed_count;
};

/* All of the change or nothing. */
int manager_label(struct manager *m, const char *id, const struct manager_label_change *change,
		  char ret_id[RECORD_ID_LENGTH + 1], struct error *e);

/*
 * What the lease's owner still needs besides what it holds: ids, chain ids, blob chain ids, instead
 * of those that it named before. The records that these name, and their ancestors, are shared:
 * prune keeps them unless it is told to take everything. -ENOENT: no such lease.
 */
int manager_lease_need(struct manager *m, const struct manager_holder *holder,
		       const char *const *needs, size_t count, struct error *e);

struct manager_hold_view {
	char *name; /* the lease, or in a lease's view the record */
	unsigned refs;
};

struct manager_lease_view {
	char *name;
	int64_t created_ns, expires_ns;
	bool ephemeral;
	struct manager_hold_view *holds;
	size_t hold_count;
	char **needs;
	size_t need_count;
	struct id_map id_map;
};

int manager_lease_list(struct manager *m, struct manager_lease_view **ret_leases, size_t *ret_count,
		       struct error *e);
void manager_leases_free(struct manager_lease_view *leases, size_t count);

/* A copy of a record as it was at one moment; `record`'s own pointers to other records, holds, the
 * mount and the snapshot are NULL, its texts and its map of ids are the view's. */
struct manager_record_view {
	struct record record;
	struct layer layer;
	char parent[RECORD_ID_LENGTH + 1], twin[RECORD_ID_LENGTH + 1]; /* "" for none */
	bool in_use;
	char *snapshot_key; /* NULL: containerd does not know it */
	const char *snapshot_kind; /* "view", "active" or "committed"; static */
	bool images_share; /* more than one image has it */
	/* The layer's and the blob's; of a lazy one its blob's, which in a disk usage of all
	 * records is 0 when it is elsewhere; -1: not known. */
	int64_t size_bytes;
	bool blob_here;
	char *mountpoint; /* NULL: not mounted */
	bool mounted_read_only;
	struct id_map mount_id_map;
	char **children;
	size_t child_count;
	struct manager_hold_view *holds;
	size_t hold_count;
};

struct manager_query {
	const char *const *ids; /* none: every record */
	size_t id_count;
	const char *const *filters;
	size_t filter_count;
	bool disk_usage; /* one of each pair of twins; stale sizes are measured */
	int64_t unused_for_ns; /* not what was used in this last while; 0: no matter when */
	const atomic_bool *cancelled; /* may be NULL */
};

/* In the order of the ids, else by creation. */
int manager_list(struct manager *m, const struct manager_query *query,
		 struct manager_record_view **ret_views, size_t *ret_count, struct error *e);
void manager_views_free(struct manager_record_view *views, size_t count);

/* What the kernel counted, after a fold. */
struct manager_stats_view {
	char id[RECORD_ID_LENGTH + 1];
	char *description;
	struct layer_access access;
	int64_t size_bytes; /* -1: not known */
	uint64_t files_touched;
	uint64_t mount_id; /* 0 unless asked for by mount */
	uint32_t layer_index;
	char *mountpoint;
	char *snapshot_key; /* as in a record's view */
	const char *snapshot_kind;
};

int manager_stats(struct manager *m, const char *const *ids, size_t id_count, bool by_mount,
		  struct manager_stats_view **ret_stats, size_t *ret_count, struct error *e);
void manager_stats_free(struct manager_stats_view *stats, size_t count);

struct manager_file_view {
	char *path; /* in the layer; NULL: touched, and no longer there */
	int64_t size_bytes;
	uint64_t inode, opens, read_bytes;
	int64_t last_access_ns;
};

enum manager_files_which { MANAGER_FILES_TOUCHED, MANAGER_FILES_HOT, MANAGER_FILES_NEVER_READ };

struct manager_files_query {
	const char *id;
	enum manager_files_which which;
	size_t limit; /* 0: none */
	const atomic_bool *cancelled; /* looked at between folders; may be NULL */
};
int manager_files(struct manager *m, const struct manager_files_query *query,
		  struct manager_file_view **ret_files, size_t *ret_count, struct error *e);
void manager_files_free(struct manager_file_view *files, size_t count);

struct manager_prune_options {
	bool all; /* internal, frontend and shared records, too */
	const char *const *filters;
	size_t filter_count;
	int64_t keep_duration_ns; /* 0: no matter how young */
	struct prune_limits limits; /* none: everything that matches goes */
	const char *scorer; /* "" or NULL: the default */
	bool to_lazy; /* what could be made of its blob again loses its files, and stays */
	bool dry_run; /* makes a plan instead */
	/* "" or NULL, or the name of a plan: exactly that is evicted, and all of the above is
	 * ignored. -EBUSY when one of its records has changed since. */
	const char *plan;
	const atomic_bool *cancelled; /* looked at between records; may be NULL */
};

struct manager_pruned {
	char id[RECORD_ID_LENGTH + 1], parent[RECORD_ID_LENGTH + 1];
	const char *description, *type;
	bool is_mutable, shared;
	bool to_lazy; /* it stays, without files; the size is theirs */
	int64_t size_bytes, created_ns, last_used_ns;
	uint64_t usage_count;
	double score;
	const char *reason; /* one sentence */
};

#define MANAGER_PLAN_NAME_SIZE 13

struct manager_prune_summary {
	int64_t predicted_bytes, freed_bytes, remaining_bytes;
	bool goal_reached;
	int64_t missed_bytes;
	char shortfall[256]; /* why it was not */
	char plan[MANAGER_PLAN_NAME_SIZE]; /* of a dry run */
};

int manager_prune(struct manager *m, const struct manager_prune_options *options,
		  int (*pruned)(const struct manager_pruned *record, void *user), void *user,
		  struct manager_prune_summary *ret_summary, struct error *e);

/* What runs without being asked, in this order. */
struct manager_policy_view {
	const struct prune_policy *policy; /* as long as the manager */
	struct prune_disk disk;
	int64_t used_bytes, keep_bytes; /* now; 0 unless asked for */
};

/* What they would do now takes a look at every record. *ret_policies is freed with free(3). */
int manager_policy_list(struct manager *m, bool with_usage,
			struct manager_policy_view **ret_policies, size_t *ret_count,
			struct error *e);
/* Whether they run without being asked. */
bool manager_policies_are_automatic(const struct manager *m);
/* The options of the policy of that name, whose texts live as long as the manager. -ENOENT. */
int manager_policy_options(struct manager *m, const char *name,
			   struct manager_prune_options *ret_options, struct error *e);
/* Whether manager_run_policies() should be called now: their time has come, or the file system has
 * less free than one of them wants. Cheap. */
bool manager_policies_are_due(struct manager *m);
/* Runs them all, and reports what they evicted and what they could not. */
void manager_run_policies(struct manager *m, const atomic_bool *cancelled);

struct manager_explanation {
	char id[RECORD_ID_LENGTH + 1];
	bool kept; /* whatever the limits */
	char why[400]; /* a sentence: what keeps it, or its score's terms */
	char policy[300]; /* a sentence: what the policies would do about it now; "" without any */
	size_t place, places; /* in the order of eviction, from 1; 0 when it is kept */
	double score;
};

int manager_explain(struct manager *m, const char *id, struct manager_explanation *ret_explanation,
		    struct error *e);

struct manager_info {
	char store_id[RECORD_ID_LENGTH + 1];
	char *root, *pin_directory;
	uint64_t records, layers, mounts, leases;
	enum usage_backend backend;
	char *degraded_reason; /* NULL: accounting works */
	uint64_t disk_walks, folds, lost;
	int64_t started_ns;
	const char *mount_method;
};

int manager_info(struct manager *m, struct manager_info *ret_info, struct error *e);
void manager_info_free(struct manager_info *info);

enum manager_check_state { MANAGER_CHECK_OK, MANAGER_CHECK_WARNING, MANAGER_CHECK_DEGRADED };

struct manager_check {
	const char *name;
	enum manager_check_state state;
	char found[256], advice[256]; /* advice "": nothing to do */
};

#define MANAGER_CHECKS_MAX 16

/* What this kernel and this store can do; returns the number of checks. */
size_t manager_doctor(struct manager *m, struct manager_check ret_checks[MANAGER_CHECKS_MAX]);

/* Moves what the kernel counted into the records, retries unmounts of what nobody holds, ends
 * expired leases. The daemon calls it every 10 seconds. */
void manager_tick(struct manager *m);
