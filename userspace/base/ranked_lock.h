/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mutex with a rank. A thread takes locks in the order of their ranks only, so that threads
 * cannot wait for each other in a circle, and a function that needs a lock can assert that its
 * thread has it. Both are checked on every call, in every build, in a thread-local word.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

/* How long threads wait for a lock, and how long they hold it. */
struct lock_meter {
	struct histogram wait, hold;
};

struct ranked_lock {
	pthread_mutex_t mutex;
	atomic_uint waiting; /* threads in ranked_lock_acquire() */
	atomic_ulong taken; /* how often it has been acquired */
	unsigned rank; /* 0 to 31; two locks of one rank are never held together */
	struct lock_meter *meter; /* NULL: the lock is not measured */
	int64_t taken_ns; /* with the lock, if it is measured */
};

void ranked_lock_init(struct ranked_lock *l, unsigned rank);
/* Measures the lock from now on; before any other thread uses it. The meter must outlive it. */
void ranked_lock_measure(struct ranked_lock *l, struct lock_meter *meter);
void ranked_lock_destroy(struct ranked_lock *l);
/* Returns its argument, for `cleanup(ranked_lock_release) struct ranked_lock *held = …`. */
struct ranked_lock *ranked_lock_acquire(struct ranked_lock *l);
void ranked_lock_release(struct ranked_lock *l);
/* Releases the lock and takes it again, after one of the threads that wait for it has had it. (A
 * mutex alone would most likely be taken again before a waiting thread has woken.) */
void ranked_lock_yield(struct ranked_lock *l);
/* pthread_cond_wait(3), and with a time by the monotonic clock. The latter: 0 or -ETIMEDOUT. */
void ranked_lock_wait(struct ranked_lock *l, pthread_cond_t *condition);
int ranked_lock_wait_until(struct ranked_lock *l, pthread_cond_t *condition, int64_t until_ns);
/* Whether this thread holds a lock of this rank. */
bool ranked_lock_is_held(const struct ranked_lock *l);
bool ranked_lock_rank_is_held(unsigned rank);

static inline void cleanup_ranked_lock_release(struct ranked_lock **l)
{
	if (*l)
		ranked_lock_release(*l);
}
