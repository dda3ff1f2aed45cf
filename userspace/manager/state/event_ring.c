/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/event_ring.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

struct event_ring {
	pthread_mutex_t lock; /* the last of all: nothing else is taken with it */
	pthread_cond_t changed;
	bool closed;
	uint64_t last;
	struct ring_event
		events[EVENT_RING_SIZE]; /* the one with number n at n % EVENT_RING_SIZE */
};

static const char *const names[EVENT_KIND_COUNT] = {
	"created", "committed",	   "mounted", "first-read", "evicted",	  "removed",	"regretted",
	"fetched", "fetch-failed", "lost",    "low-space",  "owner-lost", "owner-back",
};

const char *event_ring_kind_name(enum event_kind kind)
{
	return names[kind];
}

struct event_ring *event_ring_new(void)
{
	struct event_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->changed, NULL);
	return ring;
}

void event_ring_free(struct event_ring *ring)
{
	pthread_mutex_destroy(&ring->lock);
	pthread_cond_destroy(&ring->changed);
	free(ring);
}

void event_ring_add(struct event_ring *ring, const struct ring_event *event)
{
	struct ring_event *added;

	pthread_mutex_lock(&ring->lock);
	added = &ring->events[++ring->last % EVENT_RING_SIZE];
	*added = *event;
	added->seq = ring->last;
	added->at_ns = clock_wall_ns();
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

uint64_t event_ring_last(struct event_ring *ring)
{
	uint64_t last;

	pthread_mutex_lock(&ring->lock);
	last = ring->last;
	pthread_mutex_unlock(&ring->lock);
	return last;
}

size_t event_ring_read(struct event_ring *ring, uint64_t after, struct ring_event *events,
		       size_t max, uint64_t *ret_missed)
{
	uint64_t oldest;
	size_t count = 0;

	pthread_mutex_lock(&ring->lock);
	oldest = ring->last > EVENT_RING_SIZE ? ring->last - EVENT_RING_SIZE + 1 : 1;
	*ret_missed = after + 1 < oldest ? oldest - after - 1 : 0;
	after += *ret_missed;
	while (count < max && after < ring->last)
		events[count++] = ring->events[++after % EVENT_RING_SIZE];
	pthread_mutex_unlock(&ring->lock);
	return count;
}

bool event_ring_wait(struct event_ring *ring, uint64_t after)
{
	int64_t until_ns = clock_monotonic_ns() + NS_PER_S;
	struct timespec until = { .tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S };
	int code = 0;
	bool open;

	pthread_mutex_lock(&ring->lock);
	while (code == 0 && !ring->closed && ring->last <= after)
		code = pthread_cond_clockwait(&ring->changed, &ring->lock, CLOCK_MONOTONIC, &until);
	open = !ring->closed;
	pthread_mutex_unlock(&ring->lock);
	return open;
}

void event_ring_close(struct event_ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->closed = true;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}
