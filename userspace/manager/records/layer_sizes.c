/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of layers: measured when asked for, and only of those that an upper change has made stale.
 */
#include "manager/records/layer_sizes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "manager/mounts/counter_fold.h"
#include "store/layer_rows.h"
#include "layer/disk_walk.h"

#define WALKERS_MAX 8

/* A layer to be measured. */
struct measurement {
	char name[LAYER_NAME_LENGTH + 1];
	uint64_t upper_changes;
	struct disk_usage usage;
	int code;
	struct error error;
};

struct measuring {
	struct manager *m;
	struct measurement *items;
	size_t count;
	atomic_size_t next;
	const atomic_bool *cancelled;
};

static void *walk_layers(void *arg)
{
	struct measuring *job = arg;

	for (;;) {
		size_t i = atomic_fetch_add(&job->next, 1);
		cleanup(close_fd) int fd = -EBADF;
		struct measurement *item;

		if (i >= job->count)
			return NULL;
		item = &job->items[i];
		item->code = cancellation_check(job->cancelled, &item->error);
		if (item->code < 0)
			continue;
		atomic_fetch_add(&job->m->disk_walks, 1);
		item->code = store_files_open_layer(job->m, item->name, &fd, &item->error);
		if (item->code == 0)
			item->code = disk_walk(fd, job->cancelled, &item->usage, &item->error);
	}
}

static void walk_in_parallel(struct measuring *job)
{
	pthread_t threads[WALKERS_MAX];
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = processors > WALKERS_MAX ? WALKERS_MAX : (size_t)processors;
	size_t started = 0;

	while (started + 1 < wanted && started + 1 < job->count &&
	       pthread_create(&threads[started], NULL, walk_layers, job) == 0)
		started++;
	(void)walk_layers(job); /* this thread helps, and is enough */
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static bool is_written(const struct record *r)
{
	return r->mount && r->mount->writable;
}

bool layer_sizes_is_known(const struct manager *m, const struct record *r)
{
	manager_assert_locked(m);
	if (!r->layer->size_known || layer_sizes_is_open(r))
		return false;
	return usage_bpf_backend(m->usage) != USAGE_BACKEND_NONE ||
	       !(is_written(r) || (r->twin && is_written(r->twin)) || r->layer->lingering);
}

/* With the lock: layers that may have changed without the agent's knowledge, by name. */
static struct hashmap *find_unwatched(const struct manager *m)
{
	struct hashmap *unwatched = hashmap_new();
	const struct snapshot *s;
	size_t at = 0;

	manager_assert_locked(m);
	while (unwatched && (s = hashmap_next(m->snapshots, &at)))
		if (layer_sizes_is_open(s->record))
			(void)hashmap_insert(unwatched, s->record->layer->name, s->record);
	if (!unwatched || usage_bpf_backend(m->usage) != USAGE_BACKEND_NONE)
		return unwatched;
	for (struct mount *mount = m->mounts; mount; mount = mount->next)
		if (mount->writable) /* two of one layer cannot be */
			(void)hashmap_insert(unwatched, mount->layers[0].name, mount);
	return unwatched;
}

static int gather_stale(struct manager *m, struct measuring *job)
{
	struct hashmap *unwatched;
	struct layer *layer;

	manager_lock(m);
	unwatched = find_unwatched(m);
	job->items = calloc(record_graph_layer_count(m->graph) + 1, sizeof(*job->items));
	for (size_t at = 0;
	     unwatched && job->items && (layer = record_graph_next_layer(m->graph, &at));)
		if (!layer->lazy && (!layer->size_known || hashmap_find(unwatched, layer->name))) {
			struct measurement *item = &job->items[job->count++];

			memcpy(item->name, layer->name, sizeof(item->name));
			item->upper_changes = layer->upper_changes;
		}
	manager_unlock(m);
	hashmap_free(unwatched);
	return unwatched && job->items ? 0 : -ENOMEM;
}

static int publish_sizes(struct manager *m, const struct measuring *job, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct error late = { 0 };
	int code = 0;

	manager_lock(m);
	for (size_t i = 0; i < job->count; i++) {
		const struct measurement *item = &job->items[i];
		struct layer *layer = record_graph_find_layer(m->graph, item->name);

		if (!layer || item->code == -ENOENT) /* deleted meanwhile */
			continue;
		if (item->code < 0) {
			code = error_set(e, item->code, "measure layer %s: %s", item->name,
					 item->error.text);
			continue;
		}
		layer->allocated_bytes = item->usage.allocated_bytes;
		layer->apparent_bytes = item->usage.apparent_bytes;
		layer->inodes = item->usage.inodes;
		layer->measured = true;
		layer->size_known = layer->upper_changes == item->upper_changes;
		layer_rows_update(&c, layer);
	}
	manager_unlock(m);
	if (change_set_write(&c, m->database, DATABASE_RELAXED, &late) < 0)
		manager_report(m, true, "sizes are not written: %s", late.text);
	return code;
}

int layer_sizes_measure(struct manager *m, const atomic_bool *cancelled, struct error *e)
{
	struct measuring job = { .m = m, .cancelled = cancelled };
	int code = 0;

	manager_assert_unlocked(m);
	ranked_lock_acquire(&m->walk_lock);
	counter_fold_for_call(m, cancelled);
	if (gather_stale(m, &job) < 0)
		code = error_set(e, -ENOMEM, "out of memory");
	if (code == 0 && job.count > 0) {
		walk_in_parallel(&job);
		code = publish_sizes(m, &job, e);
	}
	ranked_lock_release(&m->walk_lock);
	free(job.items);
	return code;
}
