/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker_pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct job {
	struct job *next;
	void (*work)(void *arg);
	void *arg;
};

struct worker_pool {
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	struct job *first, **last;
	size_t queued, max_queued;
	pthread_t *threads;
	size_t count, max_threads, idle;
	bool stopping;
};

static void *run_jobs(void *arg)
{
	struct worker_pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *job;

		p->idle++;
		while (!p->first && !p->stopping)
			pthread_cond_wait(&p->arrived, &p->lock);
		p->idle--;
		job = p->first;
		if (!job)
			break;
		p->first = job->next;
		if (!p->first)
			p->last = &p->first;
		p->queued--;
		pthread_mutex_unlock(&p->lock);
		job->work(job->arg);
		free(job);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int worker_pool_new(size_t max_threads, size_t max_queued, struct worker_pool **ret_pool,
		    struct error *e)
{
	struct worker_pool *p = calloc(1, sizeof(*p));

	if (p)
		p->threads = calloc(max_threads, sizeof(*p->threads));
	if (!p || !p->threads) {
		free(p);
		return error_set(e, -ENOMEM, "out of memory");
	}
	p->max_threads = max_threads;
	p->max_queued = max_queued;
	p->last = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->arrived, NULL);
	*ret_pool = p;
	return 0;
}

/* With the lock. Workers block all signals, which the loop handles. */
static void start_thread(struct worker_pool *p)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (pthread_create(&p->threads[p->count], NULL, run_jobs, p) == 0)
		p->count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* With the lock. -EAGAIN: too many jobs wait, or there is no thread. */
static int add_job(struct worker_pool *p, struct job *job)
{
	if (p->queued >= p->max_queued)
		return -EAGAIN;
	if (p->idle <= p->queued && p->count < p->max_threads)
		start_thread(p);
	if (p->count == 0)
		return -EAGAIN;
	*p->last = job;
	p->last = &job->next;
	p->queued++;
	return 0;
}

int worker_pool_submit(struct worker_pool *p, void (*work)(void *arg), void *arg)
{
	struct job *job = malloc(sizeof(*job));
	int code;

	if (!job)
		return -ENOMEM;
	*job = (struct job){ .work = work, .arg = arg };
	pthread_mutex_lock(&p->lock);
	code = add_job(p, job);
	pthread_mutex_unlock(&p->lock);
	if (code < 0) {
		free(job);
		return code;
	}
	/* Without the lock, which the worker that wakes up takes. */
	pthread_cond_signal(&p->arrived);
	return 0;
}

void worker_pool_free(struct worker_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->arrived);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->arrived);
	free(p->threads);
	free(p);
}
