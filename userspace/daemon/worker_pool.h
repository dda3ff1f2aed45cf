/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that run requests. They start when they are needed, and stay. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct worker_pool;

int worker_pool_new(size_t max_threads, size_t max_queued, struct worker_pool **ret_pool,
		    struct error *e);
/* Runs work(arg) on a thread of the pool. -EAGAIN: too many jobs are waiting. */
int worker_pool_submit(struct worker_pool *p, void (*work)(void *arg), void *arg);
/* Waits until all queued jobs have run, then ends the threads. */
void worker_pool_free(struct worker_pool *p);
DEFINE_CLEANUP(struct worker_pool *, worker_pool_free)
