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
	l->meter = NULL;
}

void ranked_lock_measure(struct ranked_lock *l, struct lock_meter *meter)
{
	l->meter = meter;
}

void ranked_lock_destroy(struct ranked_lock *l)
{
	pthread_mutex_destroy(&l->mutex);
}

static void note_taken(struct ranked_lock *l)
{
	if (l->meter)
		l->taken_ns = clock_monotonic_ns();
}

static void note_given_back(struct ranked_lock *l)
{
	if (l->meter)
		histogram_add(&l->meter->hold, clock_monotonic_ns() - l->taken_ns);
}

static void lock_mutex(struct ranked_lock *l)
{
	int64_t asked_ns;

	if (!l->meter) {
		pthread_mutex_lock(&l->mutex);
		return;
	}
	if (pthread_mutex_trylock(&l->mutex) == 0) {
		note_taken(l);
		histogram_add(&l->meter->wait, 0);
		return;
	}
	asked_ns = clock_monotonic_ns();
	pthread_mutex_lock(&l->mutex);
	note_taken(l);
	histogram_add(&l->meter->wait, l->taken_ns - asked_ns);
}

struct ranked_lock *ranked_lock_acquire(struct ranked_lock *l)
{
	assert(held_ranks >> l->rank == 0); /* nothing of this rank, or of one that comes later */
	atomic_fetch_add(&l->waiting, 1);
	lock_mutex(l);
	atomic_fetch_add(&l->taken, 1);
	atomic_fetch_sub(&l->waiting, 1);
	held_ranks |= UINT32_C(1) << l->rank;
	return l;
}

void ranked_lock_release(struct ranked_lock *l)
{
	assert(ranked_lock_is_held(l));
	held_ranks &= ~(UINT32_C(1) << l->rank);
	note_given_back(l);
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
	note_given_back(l);
	pthread_cond_wait(condition, &l->mutex);
	note_taken(l);
}

int ranked_lock_wait_until(struct ranked_lock *l, pthread_cond_t *condition, int64_t until_ns)
{
	struct timespec until = { .tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S };
	int code;

	assert(held_ranks >> l->rank == 1);
	note_given_back(l);
	code = -pthread_cond_clockwait(condition, &l->mutex, CLOCK_MONOTONIC, &until);
	note_taken(l);
	return code;
}

bool ranked_lock_is_held(const struct ranked_lock *l)
{
	return ranked_lock_rank_is_held(l->rank);
}

bool ranked_lock_rank_is_held(unsigned rank)
{
	return held_ranks >> rank & 1;
}
