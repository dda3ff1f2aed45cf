/* SPDX-License-Identifier: Apache-2.0 */
#include "web/http_jobs.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"

struct http_jobs {
	const struct http_handler *handler;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	struct http_job *first, **last;
	int64_t began_ns; /* of the request that runs; 0: none does */
	bool stop;
	atomic_bool cancelled; /* tells the one that runs */
};

/* Waits for the next job; NULL: there will be none. */
static struct http_job *take(struct http_jobs *jobs)
{
	struct http_job *job;

	pthread_mutex_lock(&jobs->lock);
	jobs->began_ns = 0;
	while (!jobs->first && !jobs->stop)
		pthread_cond_wait(&jobs->changed, &jobs->lock);
	job = jobs->first;
	if (job) {
		jobs->first = job->next;
		if (!jobs->first)
			jobs->last = &jobs->first;
		jobs->began_ns = clock_monotonic_ns();
		atomic_store(&jobs->cancelled, jobs->stop);
	}
	pthread_mutex_unlock(&jobs->lock);
	return job;
}

/* Both directions are closed; a client that has only ended what it sends still reads. */
static bool is_gone(const struct http_job *job)
{
	struct pollfd client = { .fd = job->fd };

	return poll(&client, 1, 0) > 0 && client.revents & (POLLHUP | POLLERR);
}

static void *run(void *user)
{
	struct http_jobs *jobs = user;
	struct http_job *job;

	while ((job = take(jobs))) {
		job->request.cancelled = &jobs->cancelled;
		if (!atomic_load(&jobs->cancelled) && !is_gone(job))
			jobs->handler->handle(&job->request, &job->reply, jobs->handler->user);
		job->done(job);
	}
	return NULL;
}

int http_jobs_start(const struct http_handler *handler, struct http_jobs **ret_jobs,
		    struct error *e)
{
	struct http_jobs *jobs = calloc(1, sizeof(*jobs));
	int code;

	if (!jobs)
		return error_set(e, -ENOMEM, "out of memory");
	jobs->handler = handler;
	jobs->last = &jobs->first;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->changed, NULL);
	code = -pthread_create(&jobs->thread, NULL, run, jobs);
	if (code < 0) {
		free(jobs);
		return error_set(e, code, "thread of the HTTP server: %s", strerror(-code));
	}
	*ret_jobs = jobs;
	return 0;
}

void http_jobs_add(struct http_jobs *jobs, struct http_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&jobs->lock);
	*jobs->last = job;
	jobs->last = &job->next;
	pthread_cond_signal(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
}

void http_jobs_limit(struct http_jobs *jobs, int64_t longest_ns)
{
	pthread_mutex_lock(&jobs->lock);
	if (jobs->began_ns && clock_monotonic_ns() - jobs->began_ns > longest_ns)
		atomic_store(&jobs->cancelled, true);
	pthread_mutex_unlock(&jobs->lock);
}

void http_jobs_stop(struct http_jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->stop = true;
	atomic_store(&jobs->cancelled, true);
	pthread_cond_signal(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
	pthread_join(jobs->thread, NULL);
	pthread_cond_destroy(&jobs->changed);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}
