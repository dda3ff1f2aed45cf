/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that run requests. They start when they are needed, and stay. One of them at a time may
 * also lead: it waits for events, and when jobs come of them it runs one itself, while another
 * thread leads in its place. So a job that has just come waits for no thread to wake up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct worker_pool;

/* Not more than max_jobs jobs run at a time, and one more thread may lead. */
int worker_pool_new(size_t max_jobs, size_t max_queued, struct worker_pool **ret_pool,
		    struct error *e);
/* Runs work(arg) on a thread of the pool. -EAGAIN: too many jobs are waiting. A thread of the pool
 * may submit only as the last part of a job, or while it leads, since it will run the job itself.
 */
int worker_pool_submit(struct worker_pool *p, void (*work)(void *arg), void *arg);
/* Calls lead(arg) on threads of the pool, one at a time, until one call returns false, and then
 * returns. lead() waits for events, and returns true when there are jobs. -EAGAIN: no thread. */
int worker_pool_lead(struct worker_pool *p, bool (*lead)(void *arg), void *arg);
/* For lead(): whether there are jobs that a thread could run. */
bool worker_pool_has_jobs(struct worker_pool *p);
/* Waits until all queued jobs have run, then ends the threads. */
void worker_pool_free(struct worker_pool *p);
DEFINE_CLEANUP(struct worker_pool *, worker_pool_free)
