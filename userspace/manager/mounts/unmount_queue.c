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
	struct reaper_task what;
	uint64_t number;
	struct task *next;
};

struct reaper {
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

static void do_task(struct manager *m, const struct reaper_task *task)
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
static struct task *take_task(struct reaper *reaper, size_t thread)
{
	struct task *task = reaper->first;

	reaper->first = task->next;
	if (!reaper->first)
		reaper->last = &reaper->first;
	reaper->waiting--;
	reaper->busy++;
	reaper->taken[thread] = task;
	return task;
}

static int64_t monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* With the lock: whether it is time. */
static bool is_due(struct reaper *reaper)
{
	if (!reaper->first)
		return false;
	reaper->going |= reaper->stopping || reaper->waiting >= TOGETHER ||
			 monotonic_ns() >= reaper->due_ns;
	return reaper->going;
}

/* With the lock. */
static void wait_for_due(struct reaper *reaper)
{
	while (!is_due(reaper) && !reaper->stopping) {
		struct timespec until = { .tv_sec = reaper->due_ns / NS_PER_S,
					  .tv_nsec = reaper->due_ns % NS_PER_S };

		if (reaper->first)
			pthread_cond_clockwait(&reaper->changed, &reaper->lock, CLOCK_MONOTONIC,
					       &until);
		else
			pthread_cond_wait(&reaper->changed, &reaper->lock);
	}
}

static void *do_tasks(void *arg)
{
	struct manager *m = arg;
	struct reaper *reaper = m->reaper;
	size_t thread;

	pthread_mutex_lock(&reaper->lock);
	thread = reaper->thread_count++;
	for (;;) {
		struct task *task;

		wait_for_due(reaper);
		if (!reaper->first)
			break;
		task = take_task(reaper, thread);
		pthread_mutex_unlock(&reaper->lock);
		do_task(m, &task->what);
		pthread_mutex_lock(&reaper->lock);
		reaper->taken[thread] = NULL;
		free(task);
		reaper->going &= reaper->first != NULL;
		pthread_cond_broadcast(&reaper->changed);
		reaper->busy--;
		reaper->unfolded++;
		if ((reaper->busy > 0 || reaper->first) && reaper->unfolded < TOGETHER)
			continue;
		/* What their mounts counted; until then these keep their places in the maps. */
		reaper->unfolded = 0;
		pthread_mutex_unlock(&reaper->lock);
		usage_ops_fold_gone(m);
		pthread_mutex_lock(&reaper->lock);
	}
	pthread_mutex_unlock(&reaper->lock);
	return NULL;
}

int reaper_start(struct manager *m, struct error *e)
{
	struct reaper *reaper = calloc(1, sizeof(*reaper));
	size_t started = 0;

	if (!reaper)
		return error_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_cond_init(&reaper->changed, NULL);
	reaper->last = &reaper->first;
	m->reaper = reaper;
	while (started < THREADS &&
	       pthread_create(&reaper->threads[started], NULL, do_tasks, m) == 0)
		started++;
	if (started == THREADS)
		return 0;
	pthread_mutex_lock(&reaper->lock);
	reaper->stopping = true;
	pthread_cond_broadcast(&reaper->changed);
	pthread_mutex_unlock(&reaper->lock);
	while (started > 0)
		pthread_join(reaper->threads[--started], NULL);
	free(reaper);
	m->reaper = NULL;
	return error_set(e, -EAGAIN, "no threads to unmount what has been deleted");
}

void reaper_stop(struct manager *m)
{
	struct reaper *reaper = m->reaper;

	if (!reaper)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->stopping = true;
	pthread_cond_broadcast(&reaper->changed);
	pthread_mutex_unlock(&reaper->lock);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(reaper->threads[i], NULL);
	pthread_mutex_destroy(&reaper->lock);
	pthread_cond_destroy(&reaper->changed);
	free(reaper);
	m->reaper = NULL;
}

void reaper_add(struct manager *m, const struct reaper_task *what)
{
	struct reaper *reaper = m->reaper;
	struct task *task = malloc(sizeof(*task));

	if (!task) {
		do_task(m, what);
		return;
	}
	*task = (struct task){ .what = *what };
	pthread_mutex_lock(&reaper->lock);
	while (reaper->waiting >= WAITING_MAX)
		pthread_cond_wait(&reaper->changed, &reaper->lock);
	if (!reaper->first)
		reaper->due_ns = monotonic_ns() + DELAY_NS;
	task->number = ++reaper->last_number;
	*reaper->last = task;
	reaper->last = &task->next;
	reaper->waiting++;
	pthread_cond_broadcast(&reaper->changed);
	pthread_mutex_unlock(&reaper->lock);
}

static bool is_about(const struct task *task, const char *layer_or_id)
{
	return strcmp(task->what.layer, layer_or_id) == 0 ||
	       strcmp(task->what.id, layer_or_id) == 0;
}

/* With the lock. */
static bool has(const struct reaper *reaper, const char *layer_or_id)
{
	for (size_t i = 0; i < THREADS; i++)
		if (reaper->taken[i] && is_about(reaper->taken[i], layer_or_id))
			return true;
	for (const struct task *task = reaper->first; task; task = task->next)
		if (is_about(task, layer_or_id))
			return true;
	return false;
}

/* With the lock. */
static void hurry(struct reaper *reaper)
{
	if (reaper->going || !reaper->first)
		return;
	reaper->going = true;
	pthread_cond_broadcast(&reaper->changed);
}

bool reaper_has(struct manager *m, const char *layer_or_id)
{
	bool found;

	pthread_mutex_lock(&m->reaper->lock);
	found = has(m->reaper, layer_or_id);
	pthread_mutex_unlock(&m->reaper->lock);
	return found;
}

void reaper_wait(struct manager *m, const char *layer)
{
	pthread_mutex_lock(&m->reaper->lock);
	while (has(m->reaper, layer)) {
		hurry(m->reaper);
		pthread_cond_wait(&m->reaper->changed, &m->reaper->lock);
	}
	pthread_mutex_unlock(&m->reaper->lock);
}

/* With the lock: the oldest task that is not done; UINT64_MAX: none. */
static uint64_t oldest(const struct reaper *reaper)
{
	uint64_t number = reaper->first ? reaper->first->number : UINT64_MAX;

	for (size_t i = 0; i < THREADS; i++)
		if (reaper->taken[i] && reaper->taken[i]->number < number)
			number = reaper->taken[i]->number;
	return number;
}

void reaper_drain(struct manager *m)
{
	struct reaper *reaper = m->reaper;
	uint64_t last;

	pthread_mutex_lock(&reaper->lock);
	last = reaper->last_number;
	while (oldest(reaper) <= last) {
		hurry(reaper);
		pthread_cond_wait(&reaper->changed, &reaper->lock);
	}
	pthread_mutex_unlock(&reaper->lock);
}
