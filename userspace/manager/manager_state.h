/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of manager/ share. Lock order: fold_lock, then lock. `lock` guards the graph, the
 * leases and the mounts, and is never held across a system call that may be slow: a record that is
 * worked on meanwhile is `busy`, and whoever wants it waits for `idle`.
 */
#pragma once

#include <pthread.h>

#include "graph/record_facts.h"
#include "graph/record_graph.h"
#include "graph/record_refs.h"
#include "manager/manager.h"
#include "base/hashmap.h"
#include "store/change_set.h"
#include "usage/usage_fold.h"

struct mount_layer {
	char name[LAYER_NAME_LENGTH + 1];
	struct usage_fold_state folded;
	bool dirty; /* not in the database as it is here */
};

/* One overlay superblock of a record. */
struct mount {
	uint64_t id; /* grows with time; never used twice */
	struct record *record; /* NULL once it is unmounted and waits for its last fold */
	bool writable;
	bool unwanted; /* nobody holds the record, but somebody was in the mount */
	bool abandoned; /* the record was deleted, or committed and measured: its size is known */
	int64_t root_ctime_ns; /* of a new upper's root; 0: not known */
	bool read_only_clone; /* a second, read-only mount point shows the same superblock */
	struct id_map id_map; /* how it shows owners; not set: as its layers have them */
	size_t layer_count; /* lowers + 1; index 0 is the upper, unnamed for a read-only mount */
	struct mount_layer *layers;
	struct mount *next;
};

struct manager {
	char *root;
	int root_fd, lock_fd, mounts_fd; /* the store, its lock file, mnt/ */
	char *pin_directory;
	char boot_id[40];
	char store_id[RECORD_ID_LENGTH + 1];
	struct overlay_features features;
	struct usage_bpf *usage;
	struct database *database;
	void (*report)(bool problem, const char *text, void *user);
	void *user;
	int64_t started_ns;
	atomic_uint_fast64_t disk_walks, folds;

	pthread_mutex_t lock;
	pthread_cond_t idle; /* some record is no longer busy */
	struct record_graph *graph;
	struct hashmap *leases; /* by name */
	struct hashmap *snapshots; /* by key; those of a commit under way are among them */
	struct snapshot **snapshots_sorted; /* all of them by key; NULL: to be sorted again */
	struct mount *mounts;
	uint64_t next_layer, last_mount_id;
	uint64_t unplaced_changes_seen;
	bool unsaved; /* a fold could not be written: look for everything dirty */

	const struct prune_policies *policies;
	struct hashmap *aside; /* with `lock`: struct record_aside by id, see recover_rows.h */
	struct hashmap *aside_layers; /* the same by layer; twins have one entry */
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
	atomic_int_fast64_t collected_boot_ns; /* when blobs were collected last by the tick */
	atomic_uint_fast64_t content_works; /* for names that are used once */

	pthread_mutex_t fold_lock; /* one fold at a time, from reading cells to writing rows */
	pthread_mutex_t prune_lock; /* one prune at a time */
	pthread_mutex_t needs_lock; /* one change of needs at a time; before `lock` */
	pthread_mutex_t
		walk_lock; /* one measuring of sizes at a time: others then find them known */
	pthread_mutex_t trash_lock; /* with `trash_wanted`, for the thread that empties trash/ */
	pthread_cond_t trash_arrived;
	pthread_t trash_thread;
	struct reaper *reaper; /* its own lock, the last of all */
	bool trash_thread_runs, trash_wanted, trash_busy, stopping;
};

/* A record that was not loaded, since it has lost what it needs. */
struct record_aside {
	char id[RECORD_ID_LENGTH + 1];
	char layer[LAYER_NAME_LENGTH + 1];
	const char *damage; /* "its data": static */
};

void manager_report(struct manager *m, bool problem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* With the lock: a live record that nobody works on, waiting for that. -ENOENT. */
int manager_find(struct manager *m, const char *id, struct record **ret_record, struct error *e);
/* With the lock: reserves the record, and its twin; release_record() gives both back. */
void manager_reserve(struct record *r);
/* manager_find() and manager_reserve(), with a lock of its own. */
int manager_find_reserved(struct manager *m, const char *id, struct record **ret_record,
			  struct error *e);
void manager_unreserve(struct manager *m, struct record *r);

/* store_files.c: the directories of layers. Without the lock. */
int store_files_make(struct manager *m, const char *layer, struct error *e);
/* Moves a layer out of sight, to be deleted in the background. A layer that is gone is success. */
int store_files_discard(struct manager *m, const char *layer, struct error *e);
/* Makes l/<layer> what it has to be; 1 when it was not. */
int store_files_link(struct manager *m, const char *layer, struct error *e);
/* One of the store's own; NULL with errno. */
DIR *store_files_open_directory(struct manager *m, const char *name);
/* A new directory for what is only needed for a while; *ret_path is within the store, and the
 * caller's to free. What a crash leaves of them is gone at the next start. */
int store_files_make_scratch(struct manager *m, char **ret_path, struct error *e);
void store_files_drop_scratch(struct manager *m, const char *path);
int store_files_clear_scratch(struct manager *m, struct error *e);
int store_files_open_layer(struct manager *m, const char *layer, int *ret_fd, struct error *e);
void *store_files_empty_trash(void *manager); /* a thread */
void store_files_wake_trash(struct manager *m);
/* Waits until what has been discarded so far is deleted. */
void store_files_drain_trash(struct manager *m);

/* mount_ops.c. `r` is reserved; without the lock. */
/* A mount to be made, with its rows; NULL: no memory. */
struct mount *mount_ops_prepare(struct manager *m, const struct record *r, const struct id_map *map,
				struct change_set *c);
/* Makes the prepared mount, whose rows have been written; takes it, also on failure. */
int mount_ops_attach(struct manager *m, struct record *r, struct mount *mount, struct error *e);
/* The two above, and the rows written in between. */
int mount_ops_mount(struct manager *m, struct record *r, const struct id_map *map, struct error *e);
int mount_ops_detach(struct manager *m, struct record *r, struct error *e);
/* Nobody writes to the record by way of its mount any more, or can again. -EBUSY. */
int mount_ops_freeze(struct manager *m, const struct record *r, bool frozen, struct error *e);
/* The mount is no longer the record's. To unmount it is left for the task. */
struct reaper_task;
void mount_ops_abandon(struct manager *m, struct record *r, struct reaper_task *task);
int mount_ops_register(struct manager *m, struct mount *mount, int root_fd, struct error *e);
/* -ENOTSUP when the map is set and the kernel cannot mount with one. */
int mount_ops_check_map(const struct manager *m, const struct id_map *map, struct error *e);

/* mount_list.c */
#define MOUNT_POINT_NAME_SIZE (RECORD_ID_LENGTH + 4)
void mount_list_point_name(const struct record *r, bool read_only_clone,
			   char name[MOUNT_POINT_NAME_SIZE]);
char *mount_list_path(const struct manager *m, const struct record *r, bool read_only_clone);
struct mount *mount_list_new(const struct record *r, uint64_t id, bool writable,
			     const struct id_map *map);
/* As the database has them; NULL: no memory. */
char *mount_list_layer_names(const struct mount *mount);
/* One that is no longer there. */
struct mount *mount_list_new_gone(uint64_t id, bool writable, const char *names);
void mount_list_free(struct mount *mount);
DEFINE_CLEANUP(struct mount *, mount_list_free)
/* With the lock. */
void mount_list_link(struct manager *m, struct mount *mount, struct record *r);
void mount_list_unlink(struct manager *m, struct mount *mount);

/* lease_table.c, with the lock. The lease found (a connection's own one is made when it is asked
 * for) stays until it is put back. -ENOENT. */
int lease_table_find(struct manager *m, const struct manager_holder *holder,
		     struct lease **ret_lease, struct error *e);
void lease_table_put(struct manager *m, struct lease *l);
/* Adds the hold's present state to the set; nothing for a connection's lease. */
void lease_table_save_hold(struct change_set *c, const struct record *r, const struct lease *l);

/* new_ops.c */
void new_ops_make_id(char ret_id[RECORD_ID_LENGTH + 1]);
/* A mutable record with an id of its own, in no graph yet; `map`: NULL for none. NULL: no memory.
 */
struct record *new_ops_build(const struct manager_new_record *options, const struct id_map *map);
int new_ops_check_labels(const struct record_label *labels, size_t count, struct error *e);
int new_ops_check_texts(const char *description, const char *type, const char *image_ref,
			struct error *e);
void new_ops_next_layer_name(struct manager *m, char name[LAYER_NAME_LENGTH + 1]);
/* With the lock: the parent of a new record, finalized; lets go of the lock where that takes work.
 */
int new_ops_find_parent(struct manager *m, const char *id, struct record **ret_parent,
			struct error *e);
/* With the lock. A layer on top of the parent's must be possible: -EMFILE. */
int new_ops_check_depth(const struct record *parent, struct error *e);
/* With the lock: takes the record into the graph, not yet to be found, with its layer and hold. */
int new_ops_insert(struct manager *m, struct record **r, struct record *parent, struct lease *l,
		   struct error *e);
/* Takes back a record that could not be finished; what cannot be taken back now is found by
 * recover, since no row says that it is live. `unmade`: a mount of which there are rows only, or
 * NULL. Without the lock. */
void new_ops_undo(struct manager *m, struct record *r, const struct mount *unmade, bool files);

#define LEASE_CONNECTION_NAME_SIZE 40
void lease_table_connection_name(uint64_t connection, char name[LEASE_CONNECTION_NAME_SIZE]);
/* -EBUSY with a sentence. */
int lease_table_refuse_containerds(const char *lease, struct error *e);

/* cache_ops.c */
/* Nobody holds the record and it is not to be retained: it should be deleted. */
bool cache_ops_goes(const struct record *r);
/* Of a reserved record, durably; without the lock. */
int cache_ops_add_ref(struct manager *m, struct record *r, struct lease *l,
		      const struct manager_get_options *options, struct error *e);
/* Drops one ref of a record that is not busy, and does what that means for it: the record may be
 * gone afterwards. With the lock, which it lets go of meanwhile. */
int cache_ops_release(struct manager *m, struct record *r, struct lease *l, struct error *e);
/* Deletes reserved records and their twins, all or none: nobody holds them, and the children of
 * each are among those before it; no two of them share a layer. On failure they stay as they were,
 * reserved. Without the lock. */
int cache_ops_delete(struct manager *m, struct record *const *records, size_t count,
		     struct error *e);

/* usage_ops.c */
/* Moves what the cells counted since the last time into the layers, and settles the mounts that
 * are gone. What cannot be written now (a full disk) is right in memory, is written by a later
 * fold, and is reported: it fails no caller. Without the lock. */
void usage_ops_fold(struct manager *m);
/* The same for mounts that are gone only, whatever else is mounted. */
void usage_ops_fold_gone(struct manager *m);

/* measure_ops.c: every layer whose size is not known, in parallel. Without the lock. */
int measure_ops_stale(struct manager *m, const atomic_bool *cancelled, struct error *e);

/* record_view.c, with the lock. */
/* on_disk: a lazy record's size is what of its blob is here. */
struct record_facts record_view_facts(const struct manager *m, const struct record *r,
				      bool on_disk);

/* doctor.c */
#define DOCTOR_CLOCK_BEHIND "the clock is %s behind the newest use of a record"
/* By how much, 0 for not at all. Without the lock. */
int64_t doctor_clock_lag(struct manager *m);

/* recover.c */
int recover(struct manager *m, struct error *e);
