/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history_save.h"
#include "manager/history/history_state.h"
#include "manager/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "manager/state/reservation.h"
#include "manager/content/content_blobs.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_detach.h"
#include "manager/mounts/mount_list.h"
#include "manager/state/watch_table.h"
#include "manager/state/new_names.h"
#include "manager/state/store_root.h"
#include "manager/eviction/eviction_plans.h"
#include "manager/mounts/unmount_queue.h"
#include "manager/recovery/damaged_database.h"
#include "manager/recovery/lost_database.h"
#include "manager/recovery/recover.h"
#include "manager/snapshots/snapshot_answer.h"
#include "manager/snapshots/spare_layers.h"
#include "manager/state/recent_reads.h"
#include "manager/state/trash.h"
#include "manager/numbers/program_meter.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/fold_threads.h"
#include "overlay/mount_table.h"
#include "overlay/superblock_watch.h"
#include "store/store_rows.h"
#include "usage/usage_folders.h"
#include "usage/usage_upkeep.h"
#include "usage/usage_upkeep_names.h"

static int read_boot_id(struct manager *m, struct error *e)
{
	cleanup(close_file) FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(m->boot_id, sizeof(m->boot_id), f))
		return error_set(e, -EIO,
				 "read /proc/sys/kernel/random/boot_id: is /proc mounted?");
	m->boot_id[strcspn(m->boot_id, "\n")] = '\0';
	return 0;
}

/* The default store's pins have a name that people can type; others are told apart by the store's
 * place: its device and inode. */
static int choose_pin_directory(struct manager *m, bool default_root, struct error *e)
{
	struct stat st;
	int length;

	if (fstat(m->root_fd, &st) < 0)
		return error_set(e, -errno, "stat %s: %s", m->root, strerror(errno));
	length = default_root ? asprintf(&m->pin_directory, "/sys/fs/bpf/varve/v2")
			      : asprintf(&m->pin_directory,
					 "/sys/fs/bpf/varve-%" PRIx64 "-%" PRIx64 "/v2",
					 (uint64_t)st.st_dev, (uint64_t)st.st_ino);
	if (length < 0) {
		m->pin_directory = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static int open_usage(struct manager *m, const struct manager_options *options, struct error *e)
{
	cleanup(free_ptr) char *prefix = NULL;
	const struct usage_store store = { m->root, m->root_fd, m->lock_fd };
	struct usage_bpf_options usage = { .pin_dir = m->pin_directory,
					   .store = &store,
					   .forced = options->backend_forced,
					   .wanted = options->backend };

	if (options->passing && access(m->pin_directory, F_OK) < 0) {
		usage.forced = true;
		usage.wanted = USAGE_BACKEND_NONE;
	}
	if (asprintf(&prefix, "%s/mnt/", m->root) < 0) {
		prefix = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	usage.mount_prefix = prefix;
	return usage_bpf_open(&usage, &m->usage, e);
}

static void report_removed(const struct usage_folder *folder, void *user)
{
	manager_report(user, false, "pins=%s removed: their store %s is gone", folder->path,
		       folder->owner.store);
}

/* Programs of a store whose folder was deleted would run for every call of this host, for ever. */
static void remove_gone_pins(struct manager *m)
{
	struct error e = { 0 };

	if (usage_folders_remove_gone(report_removed, m, &e) < 0)
		manager_report(m, true, "remove the pins of a store that is gone: %s", e.text);
}

static void initialise(struct manager *m, const struct manager_options *options)
{
	m->root_fd = m->lock_fd = m->mounts_fd = -EBADF;
	m->fold_wake_fd = m->fold_end_fd = -EBADF;
	m->report = options->report;
	m->user = options->user;
	m->policies = options->policies;
	m->keeping = options->keeping;
	m->share_namespaces = options->share_namespaces;
	m->kept_grew = true; /* by an agent with a larger limit, perhaps */
	m->automatic = options->automatic;
	m->policy_interval_ns = options->policy_interval_ns;
	m->drop_blobs = options->drop_blobs;
	m->upkeep = options->upkeep;
	m->upkeep_count = options->upkeep_count;
	m->keep_readers_ns = options->keep_readers_ns;
	m->agent_mounts = options->agent_mounts;
	atomic_store(&m->policies_ran_boot_ns, clock_boot_ns());
	atomic_store(&m->space_was_low_boot_ns, INT64_MIN / 2); /* long ago */
	m->started_ns = clock_wall_ns();
	ranked_lock_init(&m->lock, MANAGER_RANK_STATE);
	ranked_lock_measure(&m->lock, &m->meters.state_lock);
	pthread_cond_init(&m->idle, NULL);
	ranked_lock_init(&m->file_fold_lock, MANAGER_RANK_FILE_FOLD);
	ranked_lock_init(&m->fold_lock, MANAGER_RANK_FOLD);
	ranked_lock_measure(&m->fold_lock, &m->meters.fold_lock);
	ranked_lock_init(&m->prune_lock, MANAGER_RANK_PRUNE);
	ranked_lock_measure(&m->prune_lock, &m->meters.prune_lock);
	ranked_lock_init(&m->references_lock, MANAGER_RANK_REFERENCES);
	ranked_lock_init(&m->walk_lock, MANAGER_RANK_WALK);
	ranked_lock_init(&m->trial_lock, MANAGER_RANK_TRIAL);
	ranked_lock_init(&m->trash_lock, MANAGER_RANK_TRASH);
	pthread_cond_init(&m->trash_arrived, NULL);
}

/* A store has one for life, by which clients tell it from others. */
static int read_store_id(struct manager *m, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(free_ptr) char *found = NULL;
	sqlite3 *db = database_lock_reader(m->database);
	int code = store_rows_find(db, "id", &found, e);

	database_unlock_reader(m->database);
	if (code < 0)
		return code;
	if (found && strlen(found) == RECORD_ID_LENGTH) {
		memcpy(m->store_id, found, sizeof(m->store_id));
		return 0;
	}
	new_names_record_id(m->store_id);
	store_rows_set(&c, "id", m->store_id);
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

static int lock_root(struct manager *m, struct error *e)
{
	int code = store_root_open(m, e);

	if (code < 0)
		return code;
	code = fail_point_error("store.directories", e);
	if (code < 0)
		return code;
	code = store_root_lock(m, e);
	return code < 0 ? code : fail_point_error("store.locked", e);
}

static int open_database(struct manager *m, const struct manager_options *options, struct error *e)
{
	int code = damaged_database_rebuild(m, options->rebuild_database, e);

	if (code < 0)
		return code;
	code = lost_database_open(m, options->quarantine_layers, e);
	if (code < 0)
		return code;
	code = read_store_id(m, e);
	return code < 0 ? code : fail_point_error("store.database", e);
}

static int open_store(struct manager *m, const struct manager_options *options, struct error *e)
{
	int code = lock_root(m, e);

	if (code < 0)
		return code;
	code = read_boot_id(m, e);
	if (code < 0)
		return code;
	code = choose_pin_directory(m, options->default_root, e);
	if (code < 0)
		return code;
	code = overlay_probe(m->root_fd, &m->features, e);
	if (code < 0)
		return code;
	code = open_database(m, options, e);
	if (code < 0)
		return code;
	code = open_usage(m, options, e);
	if (code < 0)
		return code;
	return content_blobs_open(m, options->fetch_helper, options->credentials_file, e);
}

static int start_threads(struct manager *m, struct error *e)
{
	int code = unmount_queue_start(m, e);

	if (code < 0)
		return code;
	code = fold_threads_start(m, e);
	if (code < 0)
		return code;
	code = spare_layers_start(m, e);
	if (code < 0)
		return code;
	if (pthread_create(&m->trash_thread, NULL, trash_empty_thread, m) != 0)
		return error_set(e, -EAGAIN, "no thread to empty the trash");
	m->trash_thread_runs = true;
	trash_wake(m);
	return 0;
}

static int make_tables(struct manager *m, struct error *e)
{
	m->events = event_ring_new();
	m->recent_reads = recent_reads_new(clock_boot_ns());
	m->program_meter = program_meter_new();
	m->graph = record_graph_new();
	m->leases = hashmap_new();
	m->snapshots = hashmap_new();
	m->quarantined = hashmap_new();
	m->quarantined_layers = hashmap_new();
	if (!m->events || !m->recent_reads || !m->program_meter || !m->graph || !m->leases ||
	    !m->snapshots || !m->quarantined || !m->quarantined_layers || watch_table_new(m) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int open_parts(struct manager *m, const struct manager_options *options, struct error *e)
{
	int code = superblock_watch_new(&m->superblocks, e);

	if (code < 0)
		return code;
	code = open_store(m, options, e);
	if (code < 0)
		return code;
	code = recover(m, e);
	if (code < 0)
		return code;
	code = history_save_load(m, e);
	if (code < 0)
		return code;
	(void)malloc_trim(0); /* the rows were read into memory that is not needed any more */
	return start_threads(m, e);
}

/* Clients cannot mount layers whose paths do not fit into mount options. */
static void choose_who_mounts(struct manager *m)
{
	if (m->agent_mounts || snapshot_answer_can_name(m->root))
		return;
	m->agent_mounts = true;
	manager_report(m, true,
		       "the path of the store, %s, does not fit into mount options: the agent "
		       "mounts snapshots ([snapshots] mounts = agent)",
		       m->root);
}

static void set_upkeep(struct manager *m)
{
	struct error e = { 0 };

	if (usage_upkeep_names_set(m->usage, m->upkeep, m->upkeep_count, &e) < 0)
		manager_report(m, true, "[accounting] upkeep: %s", e.text);
	if (usage_upkeep_mark_self(m->usage, &e) < 0)
		manager_report(m, true, "what the agent reads counts as use: %s", e.text);
}

int manager_new(const struct manager_options *options, struct manager **ret_manager,
		struct error *e)
{
	cleanup(manager_close) struct manager *m = calloc(1, sizeof(*m));
	int code;

	if (!m)
		return error_set(e, -ENOMEM, "out of memory");
	initialise(m, options);
	if (options->root[0] != '/' || strlen(options->root) > STORE_ROOT_MAX)
		return error_set(e, -EINVAL,
				 "--root '%.*s': the store needs an absolute path of at most %d "
				 "bytes",
				 STORE_ROOT_MAX + 1, options->root, STORE_ROOT_MAX);
	m->root = strdup(options->root);
	if (!m->root)
		return error_set(e, -ENOMEM, "out of memory");
	code = make_tables(m, e);
	if (code < 0)
		return code;
	*ret_manager = take_ptr(m);
	return 0;
}

int manager_open(struct manager *m, const struct manager_options *options, struct error *e)
{
	int code;

	choose_who_mounts(m);
	code = open_parts(m, options, e);
	if (code < 0) {
		/* A start that fails leaves no programs behind, unless they counted before. */
		m->unpin = m->usage && usage_bpf_is_new(m->usage);
		return code;
	}
	set_upkeep(m);
	remove_gone_pins(m);
	store_root_reserve(m);
	atomic_store(&m->is_open, true);
	return 0;
}

static void free_leases(struct manager *m)
{
	size_t position = 0;
	struct lease *l;

	while (m->leases && (l = hashmap_next(m->leases, &position))) {
		while (l->holds)
			record_refs_clear(l->holds->record);
		lease_free(l);
	}
	hashmap_free(m->leases);
}

static void free_quarantined(struct manager *m)
{
	struct quarantined_record *quarantined;
	size_t at = 0;

	while (m->quarantined && (quarantined = hashmap_next(m->quarantined, &at)))
		free(quarantined);
	hashmap_free(m->quarantined);
	hashmap_free(m->quarantined_layers);
}

static void stop_trash_thread(struct manager *m)
{
	if (!m->trash_thread_runs)
		return;
	ranked_lock_acquire(&m->trash_lock);
	m->stopping = true;
	pthread_cond_broadcast(&m->trash_arrived);
	ranked_lock_release(&m->trash_lock);
	pthread_join(m->trash_thread, NULL);
}

void manager_close(struct manager *m)
{
	struct mount *next;

	if (!m)
		return;
	unmount_queue_stop(m);
	fold_threads_stop(m);
	if (m->trash_thread_runs && m->usage)
		counter_fold(m);
	spare_layers_stop(m);
	stop_trash_thread(m);
	content_blobs_close(m);
	database_close(m->database);
	usage_bpf_close(m->usage);
	if (m->unpin)
		(void)usage_bpf_unpin(m->pin_directory, NULL); /* the first error is told */
	superblock_watch_free(m->superblocks);
	history_state_free(m->history);
	for (struct mount *mount = m->mounts; mount; mount = next) {
		next = mount->next;
		mount_list_free(mount);
	}
	watch_table_free(m);
	eviction_plans_free(m);
	free_leases(m);
	hashmap_free(m->snapshots);
	free(m->snapshots_sorted);
	free_quarantined(m);
	record_graph_free(m->graph);
	cleanup_close_fd(&m->fold_wake_fd);
	cleanup_close_fd(&m->fold_end_fd);
	cleanup_close_fd(&m->mounts_fd);
	new_names_end(m);
	cleanup_close_fd(&m->lock_fd);
	cleanup_close_fd(&m->root_fd);
	if (m->events)
		event_ring_free(m->events);
	recent_reads_free(m->recent_reads);
	program_meter_free(m->program_meter);
	free(m->pin_directory);
	free(m->root);
	ranked_lock_destroy(&m->lock);
	pthread_cond_destroy(&m->idle);
	ranked_lock_destroy(&m->file_fold_lock);
	ranked_lock_destroy(&m->fold_lock);
	ranked_lock_destroy(&m->prune_lock);
	ranked_lock_destroy(&m->references_lock);
	ranked_lock_destroy(&m->walk_lock);
	ranked_lock_destroy(&m->trial_lock);
	ranked_lock_destroy(&m->trash_lock);
	pthread_cond_destroy(&m->trash_arrived);
	free(m);
}

static struct record *first_mounted(struct manager *m)
{
	for (struct mount *mount = m->mounts; mount; mount = mount->next)
		if (mount->record)
			return mount->record;
	return NULL;
}

static bool reserve_first_mounted(struct manager *m, struct reservation *ret_reserved)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r = first_mounted(locked);

	if (r)
		reservation_begin(locked, r, ret_reserved);
	return r;
}

static int unmount_first(struct manager *m, bool *ret_found, struct error *e)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };

	*ret_found = reserve_first_mounted(m, &reserved);
	return *ret_found ? mount_detach(m, reserved.record, e) : 0;
}

int manager_tear_down(struct manager *m, struct error *e)
{
	bool found = true;

	while (found) {
		int code = unmount_first(m, &found, e);

		if (code < 0)
			return code;
	}
	fold_threads_stop(m);
	counter_fold(m); /* the last one of these mounts */
	usage_bpf_close(m->usage);
	m->usage = NULL;
	return usage_bpf_unpin(m->pin_directory, e);
}

int manager_mark_upkeep(struct manager *m, int pidfd, struct error *e)
{
	return usage_upkeep_mark(m->usage, pidfd, e);
}

static size_t count_mounted(const struct manager *m)
{
	size_t count = 0;

	for (const struct mount *mount = m->mounts; mount; mount = mount->next)
		count += mount->record != NULL;
	return count;
}

struct event_ring *manager_events(struct manager *m)
{
	return m->events;
}

/* While the store is opened, only what does not change any more is read. */
static int info_of_start(const struct manager *m, struct manager_info *ret_info, struct error *e)
{
	struct manager_info info = { .starting = true,
				     .root = strdup(m->root),
				     .pin_directory = strdup(""),
				     .records = atomic_load(&m->records_read),
				     .backend = USAGE_BACKEND_NONE,
				     .started_ns = m->started_ns,
				     .mount_method = "" };

	if (!info.root || !info.pin_directory) {
		manager_info_free(&info);
		return error_set(e, -ENOMEM, "out of memory");
	}
	*ret_info = info;
	return 0;
}

static int info_of_store(struct manager *m, struct manager_info *ret_info, struct error *e)
{
	struct usage_lost lost = usage_read_lost(m->usage);
	struct manager_info info = {
		.root = strdup(m->root),
		.pin_directory = strdup(m->pin_directory),
		.backend = usage_bpf_backend(m->usage),
		.disk_walks = atomic_load(&m->disk_walks),
		.folds = atomic_load(&m->folds),
		.lost = lost.cells + lost.files,
		.unseen_counters = usage_unseen_counters(m->usage),
		.started_ns = m->started_ns,
		.mount_method = overlay_method_name(m->features.method),
	};
	const char *overlay = usage_bpf_refusal(m->usage, USAGE_BACKEND_OVERLAY);
	const char *syscall = usage_bpf_refusal(m->usage, USAGE_BACKEND_SYSCALL);
	bool failed = false;

	if (info.backend == USAGE_BACKEND_NONE)
		failed = asprintf(&info.degraded_reason, "overlay: %s; syscall: %s",
				  overlay ? overlay : "not tried",
				  syscall ? syscall : "not tried") < 0;
	if (!info.root || !info.pin_directory || failed) {
		info.degraded_reason = failed ? NULL : info.degraded_reason;
		manager_info_free(&info);
		return error_set(e, -ENOMEM, "out of memory");
	}
	memcpy(info.store_id, m->store_id, sizeof(info.store_id));
	manager_lock(m);
	info.records = record_graph_count(m->graph);
	info.layers = record_graph_layer_count(m->graph);
	info.leases = hashmap_count(m->leases);
	info.mounts = count_mounted(m);
	manager_unlock(m);
	*ret_info = info;
	return 0;
}

int manager_info(struct manager *m, struct manager_info *ret_info, struct error *e)
{
	return atomic_load(&m->is_open) ? info_of_store(m, ret_info, e)
					: info_of_start(m, ret_info, e);
}

void manager_info_free(struct manager_info *info)
{
	free(info->root);
	free(info->pin_directory);
	free(info->degraded_reason);
}
