/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker_pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

struct job {
	struct job *next;
	void (*work)(void *arg);
	void *arg;
};

struct worker_pool {
	pthread_mutex_t lock;
	pthread_cond_t wanted, led;
	struct job *first, **last;
	size_t queued, max_queued, running, max_running;
	pthread_t *threads;
	size_t count;
	/* Threads that wait for something to do, and those of them that have been woken. */
	size_t idle, woken;
	bool (*lead)(void *arg); /* NULL: there is nothing to lead */
	void *lead_arg;
	bool leading; /* a thread is */
	bool stopping;
};

/* The pool that this thread belongs to. */
static _Thread_local const struct worker_pool *own_pool;

static void *run_thread(void *arg);

/* With the lock. Workers block all signals, which the loop handles. */
static bool start_thread(struct worker_pool *p)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	code = pthread_create(&p->threads[p->count], NULL, run_thread, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code == 0)
		p->count++;
	return code == 0;
}

/* With the lock: one more thread looks for something to do, if there is one. */
static void wake_one(struct worker_pool *p)
{
	if (p->idle > p->woken) {
		p->woken++;
		pthread_cond_signal(&p->wanted);
	} else if (p->count <= p->max_running && !start_thread(p) && p->lead) {
		/* There will be no more threads: of those that there are, one is to lead. */
		p->max_running = p->count - 1;
	}
}

/* With the lock. */
static void wait_for_something(struct worker_pool *p)
{
	p->idle++;
	while (p->woken == 0 && !p->stopping)
		pthread_cond_wait(&p->wanted, &p->lock);
	if (p->woken > 0)
		p->woken--;
	p->idle--;
}

static bool can_run(const struct worker_pool *p)
{
	return p->first && p->running < p->max_running;
}

static bool must_lead(const struct worker_pool *p)
{
	return p->lead && !p->leading;
}

/* With the lock: whether this thread may run a job, since another one leads, or is about to. */
static bool may_run(struct worker_pool *p)
{
	if (can_run(p) && must_lead(p))
		wake_one(p);
	return can_run(p);
}

/* With the lock, which is released meanwhile. */
static void run_first(struct worker_pool *p)
{
	struct job *job = p->first;

	p->first = job->next;
	if (!p->first)
		p->last = &p->first;
	p->queued--;
	p->running++;
	pthread_mutex_unlock(&p->lock);
	job->work(job->arg);
	free(job);
	pthread_mutex_lock(&p->lock);
	p->running--;
}

/* With the lock, which is released meanwhile. */
static void lead_once(struct worker_pool *p)
{
	bool goes_on;

	p->leading = true;
	pthread_mutex_unlock(&p->lock);
	goes_on = p->lead(p->lead_arg);
	pthread_mutex_lock(&p->lock);
	p->leading = false;
	if (goes_on)
		return;
	p->lead = NULL;
	pthread_cond_signal(&p->led);
}

static void *run_thread(void *arg)
{
	struct worker_pool *p = arg;

	own_pool = p;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		if (may_run(p))
			run_first(p);
		else if (must_lead(p))
			lead_once(p);
		else if (p->stopping)
			break;
		else
			wait_for_something(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int worker_pool_new(size_t max_jobs, size_t max_queued, struct worker_pool **ret_pool,
		    struct error *e)
{
	struct worker_pool *p = calloc(1, sizeof(*p));

	if (p)
		p->threads = calloc(max_jobs + 1, sizeof(*p->threads));
	if (!p || !p->threads) {
		free(p);
		return error_set(e, -ENOMEM, "out of memory");
	}
	p->max_running = max_jobs;
	p->max_queued = max_queued;
	p->last = &p->first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wanted, NULL);
	pthread_cond_init(&p->led, NULL);
	*ret_pool = p;
	return 0;
}

/* With the lock. -EAGAIN: too many jobs wait, or there is no thread. */
static int add_job(struct worker_pool *p, struct job *job)
{
	if (p->queued >= p->max_queued)
		return -EAGAIN;
	if (own_pool != p || p->queued > 0)
		wake_one(p);
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
	if (code < 0)
		free(job);
	return code;
}

int worker_pool_lead(struct worker_pool *p, bool (*lead)(void *arg), void *arg)
{
	int code = 0;

	pthread_mutex_lock(&p->lock);
	p->lead = lead;
	p->lead_arg = arg;
	while (p->count < 2 && start_thread(p))
		;
	if (p->count < 2) { /* one to lead, and one for a job */
		p->lead = NULL;
		code = -EAGAIN;
	}
	wake_one(p);
	while (p->lead)
		pthread_cond_wait(&p->led, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return code;
}

bool worker_pool_has_jobs(struct worker_pool *p)
{
	bool has;

	pthread_mutex_lock(&p->lock);
	has = can_run(p);
	pthread_mutex_unlock(&p->lock);
	return has;
}

void worker_pool_free(struct worker_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->wanted);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->wanted);
	pthread_cond_destroy(&p->led);
	free(p->threads);
	free(p);
}
