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
 * The end of an overlay syncs the file system below it, which stalls every process that makes files
 * there. So several mounts end together and share one sync; a thread that waits for one of them
 * starts them all.
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
	struct ranked_lock lock;
	/* For the threads: there is something to wait for, or to do. Each add wakes one at most. */
	pthread_cond_t work;
	pthread_cond_t changed; /* for callers: a task was taken or is done */
	/* In the order in which they came; a thread takes the first that no other one has. */
	struct task *first, **last;
	struct task *taken[THREADS];
	size_t waiting, busy;
	size_t unfolded; /* tasks that were done since the last fold */
	int64_t due_ns; /* by the monotonic clock: when the first has waited long enough */
	bool watched; /* a thread waits until then */
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
	if (code < 0 && code != -EINVAL && code != -ENOENT) /* another process unmounted it */
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
static struct task *take_task(struct unmount_queue *queue, size_t thread)
{
	struct task *task = queue->first;

	assert(ranked_lock_is_held(&queue->lock));
	queue->first = task->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->waiting--;
	queue->busy++;
	queue->taken[thread] = task;
	return task;
}

/* With the lock: whether it is time. */
static bool is_due(struct unmount_queue *queue)
{
	assert(ranked_lock_is_held(&queue->lock));
	if (!queue->first)
		return false;
	queue->going |= queue->stopping || queue->waiting >= TOGETHER ||
			clock_monotonic_ns() >= queue->due_ns;
	return queue->going;
}

/* With the lock. */
static void wait_for_due(struct unmount_queue *queue)
{
	assert(ranked_lock_is_held(&queue->lock));
	while (!is_due(queue) && !queue->stopping) {
		if (queue->first && !queue->watched) {
			queue->watched = true;
			(void)ranked_lock_wait_until(&queue->lock, &queue->work, queue->due_ns);
			queue->watched = false;
		} else {
			ranked_lock_wait(&queue->lock, &queue->work);
		}
	}
}

static void *do_tasks(void *arg)
{
	struct manager *m = arg;
	struct unmount_queue *queue = m->unmount_queue;
	size_t thread;

	ranked_lock_acquire(&queue->lock);
	thread = queue->thread_count++;
	for (;;) {
		struct task *task;

		wait_for_due(queue);
		if (!queue->first)
			break;
		task = take_task(queue, thread);
		if (queue->first)
			pthread_cond_signal(&queue->work);
		ranked_lock_release(&queue->lock);
		do_task(m, &task->what);
		ranked_lock_acquire(&queue->lock);
		queue->taken[thread] = NULL;
		free(task);
		queue->going &= queue->first != NULL;
		pthread_cond_broadcast(&queue->changed);
		queue->busy--;
		queue->unfolded++;
		if ((queue->busy > 0 || queue->first) && queue->unfolded < TOGETHER)
			continue;
		/* What their mounts counted; until then these keep their places in the maps. */
		queue->unfolded = 0;
		ranked_lock_release(&queue->lock);
		counter_fold_gone(m);
		ranked_lock_acquire(&queue->lock);
	}
	ranked_lock_release(&queue->lock);
	return NULL;
}

int unmount_queue_start(struct manager *m, struct error *e)
{
	struct unmount_queue *queue = calloc(1, sizeof(*queue));
	size_t started = 0;

	if (!queue)
		return error_set(e, -ENOMEM, "out of memory");
	ranked_lock_init(&queue->lock, MANAGER_RANK_UNMOUNT_QUEUE);
	pthread_cond_init(&queue->work, NULL);
	pthread_cond_init(&queue->changed, NULL);
	queue->last = &queue->first;
	m->unmount_queue = queue;
	while (started < THREADS &&
	       pthread_create(&queue->threads[started], NULL, do_tasks, m) == 0)
		started++;
	if (started == THREADS)
		return 0;
	ranked_lock_acquire(&queue->lock);
	queue->stopping = true;
	pthread_cond_broadcast(&queue->work);
	ranked_lock_release(&queue->lock);
	while (started > 0)
		pthread_join(queue->threads[--started], NULL);
	free(queue);
	m->unmount_queue = NULL;
	return error_set(e, -EAGAIN, "no threads to unmount what has been deleted");
}

void unmount_queue_stop(struct manager *m)
{
	struct unmount_queue *queue = m->unmount_queue;

	if (!queue)
		return;
	ranked_lock_acquire(&queue->lock);
	queue->stopping = true;
	pthread_cond_broadcast(&queue->work);
	ranked_lock_release(&queue->lock);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(queue->threads[i], NULL);
	ranked_lock_destroy(&queue->lock);
	pthread_cond_destroy(&queue->work);
	pthread_cond_destroy(&queue->changed);
	free(queue);
	m->unmount_queue = NULL;
}

void unmount_queue_add(struct manager *m, const struct unmount_task *what)
{
	struct unmount_queue *queue = m->unmount_queue;
	struct task *task = malloc(sizeof(*task));

	if (!task) {
		do_task(m, what);
		return;
	}
	*task = (struct task){ .what = *what };
	ranked_lock_acquire(&queue->lock);
	while (queue->waiting >= WAITING_MAX)
		ranked_lock_wait(&queue->lock, &queue->changed);
	if (!queue->first)
		queue->due_ns = clock_monotonic_ns() + DELAY_NS;
	task->number = ++queue->last_number;
	*queue->last = task;
	queue->last = &task->next;
	queue->waiting++;
	if (queue->first == task || queue->going || queue->waiting == TOGETHER)
		pthread_cond_signal(&queue->work);
	ranked_lock_release(&queue->lock);
}

static bool is_about(const struct task *task, const char *layer_or_id)
{
	return strcmp(task->what.layer, layer_or_id) == 0 ||
	       strcmp(task->what.id, layer_or_id) == 0;
}

/* With the lock. */
static bool has(const struct unmount_queue *queue, const char *layer_or_id)
{
	assert(ranked_lock_is_held(&queue->lock));
	for (size_t i = 0; i < THREADS; i++)
		if (queue->taken[i] && is_about(queue->taken[i], layer_or_id))
			return true;
	for (const struct task *task = queue->first; task; task = task->next)
		if (is_about(task, layer_or_id))
			return true;
	return false;
}

/* With the lock. */
static void hurry(struct unmount_queue *queue)
{
	assert(ranked_lock_is_held(&queue->lock));
	if (queue->going || !queue->first)
		return;
	queue->going = true;
	pthread_cond_signal(&queue->work);
}

bool unmount_queue_has(struct manager *m, const char *layer_or_id)
{
	bool found;

	ranked_lock_acquire(&m->unmount_queue->lock);
	found = has(m->unmount_queue, layer_or_id);
	ranked_lock_release(&m->unmount_queue->lock);
	return found;
}

void unmount_queue_wait(struct manager *m, const char *layer)
{
	ranked_lock_acquire(&m->unmount_queue->lock);
	while (has(m->unmount_queue, layer)) {
		hurry(m->unmount_queue);
		ranked_lock_wait(&m->unmount_queue->lock, &m->unmount_queue->changed);
	}
	ranked_lock_release(&m->unmount_queue->lock);
}

/* With the lock: the oldest task that is not done; UINT64_MAX: none. */
static uint64_t oldest(const struct unmount_queue *queue)
{
	uint64_t number = queue->first ? queue->first->number : UINT64_MAX;

	assert(ranked_lock_is_held(&queue->lock));
	for (size_t i = 0; i < THREADS; i++)
		if (queue->taken[i] && queue->taken[i]->number < number)
			number = queue->taken[i]->number;
	return number;
}

void unmount_queue_drain(struct manager *m)
{
	struct unmount_queue *queue = m->unmount_queue;
	uint64_t last;

	ranked_lock_acquire(&queue->lock);
	last = queue->last_number;
	while (oldest(queue) <= last) {
		hurry(queue);
		ranked_lock_wait(&queue->lock, &queue->changed);
	}
	ranked_lock_release(&queue->lock);
}
