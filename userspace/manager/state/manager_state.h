/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rooms of the manager share: its state, its locks, and the reservation of records. `lock`
 * guards the graph, the leases and the mounts, and is never held across a system call that may be
 * slow: a record that is worked on meanwhile is reserved, and a thread that wants it waits. Locks
 * are taken in the order of enum manager_rank, which is checked at run time.
 */
#pragma once

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/hashmap.h"
#include "base/ranked_lock.h"
#include "graph/record_graph.h"
#include "graph/record_refs.h"
#include "manager/state/event_ring.h"
#include "manager/state/manager_meters.h"
#include "overlay/overlay_probe.h"
#include "prune/prune_keeping.h"
#include "store/change_set.h"
#include "usage/usage_bpf.h"
#include "usage/usage_fold.h"

struct mount_layer {
	char name[LAYER_NAME_LENGTH + 1];
	struct usage_fold_state folded;
	struct usage_fold_state *upkeep; /* likewise of what upkeep read; NULL: nothing */
	bool dirty; /* not in the database as it is here */
};

/* One overlay superblock of a record. */
struct mount {
	uint64_t id; /* grows with time; never used twice */
	struct record *record; /* NULL once it is unmounted; then it waits for its last fold */
	bool lingers; /* unmounted, and its superblock lives: see mount_lingering.h */
	bool files_due; /* it was gone when the fold of files that runs began */
	bool files_folded; /* it is gone, and all that was read through it is in the database */
	bool read_only; /* the superblock was made read-only for good */
	int watch; /* of superblock_watch; 0: none */
	dev_t device; /* of the superblock, when it is unmounted; 0: not known */
	bool writable;
	bool unwanted; /* the record is not held, but its mount was in use when it was released */
	bool abandoned; /* the record was deleted, or committed and measured: its size is known */
	bool read_only_clone; /* a second, read-only mount point shows the same superblock */
	struct id_map id_map; /* how it shows owners; not set: as its layers have them */
	size_t layer_count; /* lowers + 1; index 0 is the upper, unnamed for a read-only mount */
	struct mount_layer *layers;
	struct mount *next;
};

struct layer_watch;

/* What layer_watch.h looks after. */
struct layer_watches {
	struct hashmap *by_layer, *by_owner;
	atomic_bool has_failed; /* once: reported */
};

enum manager_rank {
	MANAGER_RANK_PRUNE,
	MANAGER_RANK_WALK,
	MANAGER_RANK_REFERENCES,
	MANAGER_RANK_TRIAL,
	MANAGER_RANK_FILE_FOLD,
	MANAGER_RANK_FOLD,
	MANAGER_RANK_STATE, /* `lock` */
	MANAGER_RANK_EXTRACTION, /* of one extraction's threads */
	MANAGER_RANK_UNMOUNT_QUEUE,
	MANAGER_RANK_SPARES,
	MANAGER_RANK_TRASH,
};

struct manager {
	char *root;
	int root_fd, lock_fd, mounts_fd; /* the store, its lock file, mnt/ */
	char *pin_directory;
	bool unpin; /* when it is closed */
	char boot_id[40];
	char store_id[RECORD_ID_LENGTH + 1];
	struct overlay_features features;
	struct usage_bpf *usage;
	const char *const *upkeep; /* names of programs and cgroups; borrowed */
	size_t upkeep_count;
	int64_t keep_readers_ns; /* after their last read; 0: always */
	atomic_int_fast64_t readers_expired_boot_ns; /* when housekeeping deleted old ones last */
	struct database *database;
	void (*report)(bool problem, const char *text, void *user);
	void *user;
	int64_t started_ns;
	atomic_bool is_open; /* the store is, and every function may be called */
	atomic_uint_fast64_t records_read; /* from the database, while it is opened */
	atomic_uint_fast64_t disk_walks, folds, folds_begun;
	uint64_t
		folds_whole; /* the last fold of all mounts, of `folds_begun`; with the fold lock */

	struct manager_meters meters;
	struct event_ring *events;
	atomic_uint_fast64_t lost_seen; /* lost accesses that an event has told of */

	struct ranked_lock lock;
	pthread_cond_t idle; /* some record is no longer busy */
	struct record_graph *graph;
	struct hashmap *leases; /* by name */
	struct hashmap *snapshots; /* by key; those of a commit under way are among them */
	bool agent_mounts; /* snapshots are mounted by the agent, not by its clients */
	struct prune_keeping keeping; /* of layers that containerd has removed */
	bool share_namespaces; /* layers are found again in other namespaces of containerd */
	atomic_bool kept_grew; /* a layer was kept since eviction_kept_run() looked */
	struct snapshot **snapshots_sorted; /* all of them by key; NULL: to be sorted again */
	struct history *history; /* manager/history's */
	struct recent_reads *recent_reads; /* with `lock` */
	struct program_meter *program_meter; /* manager/numbers's */
	atomic_int_fast64_t live_fold_ends_ns, live_fold_cost_ns; /* see live_view.c */
	struct mount *mounts;
	struct layer_watches watches;
	struct superblock_watch *superblocks; /* of mounts that linger; thread-safe */
	bool deletions_deferred; /* records wait for mounts that linger */
	uint64_t next_layer, names_reserved, last_mount_id;
	uint64_t unplaced_changes_seen;
	bool unsaved; /* a fold could not be written: look for everything dirty */

	const struct prune_policies *policies;
	struct hashmap
		*quarantined; /* with `lock`: struct quarantined_record by id, see recover_rows.h */
	struct hashmap *quarantined_layers; /* the same by layer; twins have one entry */
	bool automatic;
	int64_t policy_interval_ns;
	/* When they ran last, or the agent began; and when they last did for want of space. */
	atomic_int_fast64_t policies_ran_boot_ns, space_was_low_boot_ns;
	struct kept_plan *plans; /* with the prune lock; newest first */

	struct blob_store *blobs;
	struct hashmap *known_blobs; /* with `lock`: struct known_blob by digest */
	struct hashmap *extractions; /* with `lock`: struct extraction by layer */
	char *fetch_helper, *credentials_file;
	bool drop_blobs; /* of layers that have their files */
	atomic_int_fast64_t collected_boot_ns; /* when blobs were collected last by housekeeping */
	atomic_int_fast64_t freed_bytes; /* of disk, by our own deletions since the start */
	atomic_uint_fast64_t content_works; /* for names that are used once */

	struct ranked_lock file_fold_lock; /* one fold of files at a time */
	atomic_uint_fast64_t file_folds_begun;
	uint64_t file_folds_whole; /* the last that succeeded, of these; with the file fold lock */
	pthread_t fold_thread, buffer_thread;
	bool fold_threads_run;
	int fold_wake_fd, fold_end_fd; /* eventfds: wake the fold thread, end both */
	struct ranked_lock fold_lock; /* one fold at a time, from reading cells to writing rows */
	struct ranked_lock prune_lock; /* one prune at a time; guards `plans` */
	struct ranked_lock
		references_lock; /* one change of a lease's external references at a time */
	struct ranked_lock walk_lock; /* one measuring of sizes at a time */
	struct ranked_lock trial_lock; /* one trial mount at a time */
	struct ranked_lock trash_lock; /* guards what follows, for the thread that empties trash/ */
	pthread_cond_t trash_arrived;
	pthread_t trash_thread;
	struct spare_layers *spares; /* with a lock of their own */
	struct unmount_queue *unmount_queue; /* its own lock, the last of all */
	bool trash_thread_runs, trash_wanted, trash_busy, stopping;
};

/* A record that was not loaded, because it has lost its files, its parent or its twin. */
struct quarantined_record {
	char id[RECORD_ID_LENGTH + 1];
	char layer[LAYER_NAME_LENGTH + 1];
	const char *damage; /* "its data": static */
};

/* Takes `lock`; for `cleanup(manager_unlock) struct manager *locked = manager_lock(m);`. */
struct manager *manager_lock(struct manager *m);
void manager_unlock(struct manager *m);
DEFINE_CLEANUP(struct manager *, manager_unlock)
/* Waits until a reservation or another change of state has ended; gives `lock` back meanwhile. */
void manager_wait(struct manager *m);
/* For long loops: gives `lock` to the threads that wait for it. What it guards may have changed. */
void manager_yield(struct manager *m);
/* For functions that want the caller to have the lock, or not to have it; macros, so that a failed
 * assertion names the function. */
#define manager_assert_locked(m) assert(ranked_lock_is_held(&(m)->lock))
#define manager_assert_unlocked(m) assert(!ranked_lock_is_held(&(m)->lock))
/* For functions that get a record and no manager. */
#define manager_assert_some_locked() assert(ranked_lock_rank_is_held(MANAGER_RANK_STATE))

void manager_report(struct manager *m, bool problem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* With the lock: waits until no thread works on the record, and returns it if it is live.
 * -ENOENT. */
int manager_find(struct manager *m, const char *id, struct record **ret_record, struct error *e);

/* Reserves the record and its twin; manager_unreserve() ends that for both, or struct reservation
 * does. With the lock. */
void manager_reserve(struct record *r);

void manager_unreserve(struct manager *m, struct record *r);
