/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ranked_lock.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "base/clock.h"

/* Ranks of the locks that this thread holds, a bit each. */
static _Thread_local uint32_t held_ranks;

void ranked_lock_init(struct ranked_lock *l, unsigned rank)
{
	assert(rank < 32);
	pthread_mutex_init(&l->mutex, NULL);
	atomic_init(&l->waiting, 0);
	atomic_init(&l->taken, 0);
	l->rank = rank;
}

void ranked_lock_destroy(struct ranked_lock *l)
{
	pthread_mutex_destroy(&l->mutex);
}

struct ranked_lock *ranked_lock_acquire(struct ranked_lock *l)
{
	assert(held_ranks >> l->rank == 0); /* nothing of this rank, or of one that comes later */
	atomic_fetch_add(&l->waiting, 1);
	pthread_mutex_lock(&l->mutex);
	atomic_fetch_add(&l->taken, 1);
	atomic_fetch_sub(&l->waiting, 1);
	held_ranks |= UINT32_C(1) << l->rank;
	return l;
}

void ranked_lock_release(struct ranked_lock *l)
{
	assert(ranked_lock_is_held(l));
	held_ranks &= ~(UINT32_C(1) << l->rank);
	pthread_mutex_unlock(&l->mutex);
}

void ranked_lock_yield(struct ranked_lock *l)
{
	unsigned long taken = atomic_load(&l->taken);

	ranked_lock_release(l);
	while (atomic_load(&l->waiting) > 0 && atomic_load(&l->taken) == taken)
		sched_yield();
	ranked_lock_acquire(l);
}

void ranked_lock_wait(struct ranked_lock *l, pthread_cond_t *condition)
{
	/* Of several locks, waiting gives back only one: the thread that is to wake this one may
	 * need another. */
	assert(held_ranks >> l->rank == 1);
	pthread_cond_wait(condition, &l->mutex);
}

int ranked_lock_wait_until(struct ranked_lock *l, pthread_cond_t *condition, int64_t until_ns)
{
	struct timespec until = { .tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S };

	assert(held_ranks >> l->rank == 1);
	return -pthread_cond_clockwait(condition, &l->mutex, CLOCK_MONOTONIC, &until);
}

bool ranked_lock_is_held(const struct ranked_lock *l)
{
	return ranked_lock_rank_is_held(l->rank);
}

bool ranked_lock_rank_is_held(unsigned rank)
{
	return held_ranks >> rank & 1;
}
