/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/unmount_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_list.h"
#include "manager/state/store_files.h"
#include "manager/mounts/counter_fold.h"
#include "overlay/overlay_mount.h"

/*
 * An overlay that goes syncs the file system below it, which stalls everybody who makes files
 * there: several go together, and share it. Somebody who waits for one starts them all.
 */
#define THREADS 4
#define DELAY_NS 100000000
#define TOGETHER 64
#define WAITING_MAX 256

struct task {
	struct unmount_task what;
	uint64_t number;
	struct task *next;
};

struct unmount_queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* In the order in which they came; a thread takes the first that no other one has. */
	struct task *first, **last;
	struct task *taken[THREADS];
	size_t waiting, busy;
	size_t unfolded; /* tasks that were done since the last fold */
	int64_t due_ns; /* by the monotonic clock: when the first has waited long enough */
	bool going; /* until none is left */
	uint64_t last_number;
	bool stopping;
	size_t thread_count;
	pthread_t threads[THREADS];
};

static void unmount(struct manager *m, const char *id, bool clone)
{
	char name[MOUNT_POINT_NAME_SIZE];
	struct error e = { 0 };
	int code;

	(void)snprintf(name, sizeof(name), "%s%s", id, clone ? "-ro" : "");
	code = overlay_unmount_lazily(m->mounts_fd, name, &e);
	if (code < 0 && code != -EINVAL && code != -ENOENT) /* somebody else unmounted it */
		manager_report(m, true, "record=%s is to be unmounted: %s", id, e.text);
	if (unlinkat(m->mounts_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		manager_report(m, true, "remove %s/mnt/%s: %s", m->root, name, strerror(errno));
}

static void do_task(struct manager *m, const struct unmount_task *task)
{
	struct error e = { 0 };

	if (task->read_only_clone)
		unmount(m, task->id, true);
	if (task->mounted)
		unmount(m, task->id, false);
	if (task->discard && store_files_discard(m, task->layer, &e) < 0)
		manager_report(m, true, "record=%s deleted, but %s; the next start will clean up",
			       task->id, e.text);
}

/* With the lock. */
static struct task *take_task(struct unmount_queue *unmount_queue, size_t thread)
{
	struct task *task = unmount_queue->first;

	unmount_queue->first = task->next;
	if (!unmount_queue->first)
		unmount_queue->last = &unmount_queue->first;
	unmount_queue->waiting--;
	unmount_queue->busy++;
	unmount_queue->taken[thread] = task;
	return task;
}

static int64_t monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* With the lock: whether it is time. */
static bool is_due(struct unmount_queue *unmount_queue)
{
	if (!unmount_queue->first)
		return false;
	unmount_queue->going |= unmount_queue->stopping || unmount_queue->waiting >= TOGETHER ||
				monotonic_ns() >= unmount_queue->due_ns;
	return unmount_queue->going;
}

/* With the lock. */
static void wait_for_due(struct unmount_queue *unmount_queue)
{
	while (!is_due(unmount_queue) && !unmount_queue->stopping) {
		struct timespec until = { .tv_sec = unmount_queue->due_ns / NS_PER_S,
					  .tv_nsec = unmount_queue->due_ns % NS_PER_S };

		if (unmount_queue->first)
			pthread_cond_clockwait(&unmount_queue->changed, &unmount_queue->lock,
					       CLOCK_MONOTONIC, &until);
		else
			pthread_cond_wait(&unmount_queue->changed, &unmount_queue->lock);
	}
}

static void *do_tasks(void *arg)
{
	struct manager *m = arg;
	struct unmount_queue *unmount_queue = m->unmount_queue;
	size_t thread;

	pthread_mutex_lock(&unmount_queue->lock);
	thread = unmount_queue->thread_count++;
	for (;;) {
		struct task *task;

		wait_for_due(unmount_queue);
		if (!unmount_queue->first)
			break;
		task = take_task(unmount_queue, thread);
		pthread_mutex_unlock(&unmount_queue->lock);
		do_task(m, &task->what);
		pthread_mutex_lock(&unmount_queue->lock);
		unmount_queue->taken[thread] = NULL;
		free(task);
		unmount_queue->going &= unmount_queue->first != NULL;
		pthread_cond_broadcast(&unmount_queue->changed);
		unmount_queue->busy--;
		unmount_queue->unfolded++;
		if ((unmount_queue->busy > 0 || unmount_queue->first) &&
		    unmount_queue->unfolded < TOGETHER)
			continue;
		/* What their mounts counted; until then these keep their places in the maps. */
		unmount_queue->unfolded = 0;
		pthread_mutex_unlock(&unmount_queue->lock);
		counter_fold_gone(m);
		pthread_mutex_lock(&unmount_queue->lock);
	}
	pthread_mutex_unlock(&unmount_queue->lock);
	return NULL;
}

int unmount_queue_start(struct manager *m, struct error *e)
{
	struct unmount_queue *unmount_queue = calloc(1, sizeof(*unmount_queue));
	size_t started = 0;

	if (!unmount_queue)
		return error_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&unmount_queue->lock, NULL);
	pthread_cond_init(&unmount_queue->changed, NULL);
	unmount_queue->last = &unmount_queue->first;
	m->unmount_queue = unmount_queue;
	while (started < THREADS &&
	       pthread_create(&unmount_queue->threads[started], NULL, do_tasks, m) == 0)
		started++;
	if (started == THREADS)
		return 0;
	pthread_mutex_lock(&unmount_queue->lock);
	unmount_queue->stopping = true;
	pthread_cond_broadcast(&unmount_queue->changed);
	pthread_mutex_unlock(&unmount_queue->lock);
	while (started > 0)
		pthread_join(unmount_queue->threads[--started], NULL);
	free(unmount_queue);
	m->unmount_queue = NULL;
	return error_set(e, -EAGAIN, "no threads to unmount what has been deleted");
}

void unmount_queue_stop(struct manager *m)
{
	struct unmount_queue *unmount_queue = m->unmount_queue;

	if (!unmount_queue)
		return;
	pthread_mutex_lock(&unmount_queue->lock);
	unmount_queue->stopping = true;
	pthread_cond_broadcast(&unmount_queue->changed);
	pthread_mutex_unlock(&unmount_queue->lock);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(unmount_queue->threads[i], NULL);
	pthread_mutex_destroy(&unmount_queue->lock);
	pthread_cond_destroy(&unmount_queue->changed);
	free(unmount_queue);
	m->unmount_queue = NULL;
}

void unmount_queue_add(struct manager *m, const struct unmount_task *what)
{
	struct unmount_queue *unmount_queue = m->unmount_queue;
	struct task *task = malloc(sizeof(*task));

	if (!task) {
		do_task(m, what);
		return;
	}
	*task = (struct task){ .what = *what };
	pthread_mutex_lock(&unmount_queue->lock);
	while (unmount_queue->waiting >= WAITING_MAX)
		pthread_cond_wait(&unmount_queue->changed, &unmount_queue->lock);
	if (!unmount_queue->first)
		unmount_queue->due_ns = monotonic_ns() + DELAY_NS;
	task->number = ++unmount_queue->last_number;
	*unmount_queue->last = task;
	unmount_queue->last = &task->next;
	unmount_queue->waiting++;
	pthread_cond_broadcast(&unmount_queue->changed);
	pthread_mutex_unlock(&unmount_queue->lock);
}

static bool is_about(const struct task *task, const char *layer_or_id)
{
	return strcmp(task->what.layer, layer_or_id) == 0 ||
	       strcmp(task->what.id, layer_or_id) == 0;
}

/* With the lock. */
static bool has(const struct unmount_queue *unmount_queue, const char *layer_or_id)
{
	for (size_t i = 0; i < THREADS; i++)
		if (unmount_queue->taken[i] && is_about(unmount_queue->taken[i], layer_or_id))
			return true;
	for (const struct task *task = unmount_queue->first; task; task = task->next)
		if (is_about(task, layer_or_id))
			return true;
	return false;
}

/* With the lock. */
static void hurry(struct unmount_queue *unmount_queue)
{
	if (unmount_queue->going || !unmount_queue->first)
		return;
	unmount_queue->going = true;
	pthread_cond_broadcast(&unmount_queue->changed);
}

bool unmount_queue_has(struct manager *m, const char *layer_or_id)
{
	bool found;

	pthread_mutex_lock(&m->unmount_queue->lock);
	found = has(m->unmount_queue, layer_or_id);
	pthread_mutex_unlock(&m->unmount_queue->lock);
	return found;
}

void unmount_queue_wait(struct manager *m, const char *layer)
{
	pthread_mutex_lock(&m->unmount_queue->lock);
	while (has(m->unmount_queue, layer)) {
		hurry(m->unmount_queue);
		pthread_cond_wait(&m->unmount_queue->changed, &m->unmount_queue->lock);
	}
	pthread_mutex_unlock(&m->unmount_queue->lock);
}

/* With the lock: the oldest task that is not done; UINT64_MAX: none. */
static uint64_t oldest(const struct unmount_queue *unmount_queue)
{
	uint64_t number = unmount_queue->first ? unmount_queue->first->number : UINT64_MAX;

	for (size_t i = 0; i < THREADS; i++)
		if (unmount_queue->taken[i] && unmount_queue->taken[i]->number < number)
			number = unmount_queue->taken[i]->number;
	return number;
}

void unmount_queue_drain(struct manager *m)
{
	struct unmount_queue *unmount_queue = m->unmount_queue;
	uint64_t last;

	pthread_mutex_lock(&unmount_queue->lock);
	last = unmount_queue->last_number;
	while (oldest(unmount_queue) <= last) {
		hurry(unmount_queue);
		pthread_cond_wait(&unmount_queue->changed, &unmount_queue->lock);
	}
	pthread_mutex_unlock(&unmount_queue->lock);
}
