/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/byte_ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct slot {
	char *bytes;
	size_t length;
};

struct byte_ring {
	pthread_mutex_t lock;
	pthread_cond_t published, passed;
	unsigned consumers;
	/* Counts of slots since the start; a slot's place is its number modulo `count`. */
	uint64_t produced, consumed[BYTE_RING_CONSUMERS];
	bool ended, stopped;
	int code;
	char *memory;
	size_t count;
	struct slot slots[];
};

struct byte_ring *byte_ring_new(size_t slot_bytes, size_t slots, unsigned consumers)
{
	cleanup(free_ptr) struct byte_ring *r = calloc(1, sizeof(*r) + slots * sizeof(r->slots[0]));

	if (!r)
		return NULL;
	r->memory = malloc(slots * slot_bytes);
	if (!r->memory)
		return NULL;
	for (size_t i = 0; i < slots; i++)
		r->slots[i].bytes = r->memory + i * slot_bytes;
	r->count = slots;
	r->consumers = consumers;
	(void)pthread_mutex_init(&r->lock, NULL); /* cannot fail with default attributes */
	(void)pthread_cond_init(&r->published, NULL);
	(void)pthread_cond_init(&r->passed, NULL);
	return take_ptr(r);
}

void byte_ring_free(struct byte_ring *r)
{
	if (!r)
		return;
	(void)pthread_cond_destroy(&r->passed);
	(void)pthread_cond_destroy(&r->published);
	(void)pthread_mutex_destroy(&r->lock);
	free(r->memory);
	free(r);
}

static uint64_t slowest(const struct byte_ring *r)
{
	uint64_t least = r->consumed[0];

	for (unsigned i = 1; i < r->consumers; i++)
		if (r->consumed[i] < least)
			least = r->consumed[i];
	return least;
}

void *byte_ring_reserve(struct byte_ring *r)
{
	void *bytes = NULL;

	pthread_mutex_lock(&r->lock);
	while (!r->stopped && r->produced - slowest(r) == r->count)
		pthread_cond_wait(&r->passed, &r->lock);
	if (!r->stopped)
		bytes = r->slots[r->produced % r->count].bytes;
	pthread_mutex_unlock(&r->lock);
	return bytes;
}

void byte_ring_publish(struct byte_ring *r, size_t length)
{
	pthread_mutex_lock(&r->lock);
	r->slots[r->produced % r->count].length = length;
	r->produced++;
	pthread_cond_broadcast(&r->published);
	pthread_mutex_unlock(&r->lock);
}

void byte_ring_end(struct byte_ring *r, int code)
{
	pthread_mutex_lock(&r->lock);
	if (!r->ended)
		r->code = code;
	r->ended = true;
	pthread_cond_broadcast(&r->published);
	pthread_mutex_unlock(&r->lock);
}

long byte_ring_look(struct byte_ring *r, unsigned consumer, const void **ret_bytes)
{
	long length;

	pthread_mutex_lock(&r->lock);
	while (!r->stopped && !r->ended && r->consumed[consumer] == r->produced)
		pthread_cond_wait(&r->published, &r->lock);
	if (r->stopped) {
		length = -ECANCELED;
	} else if (r->consumed[consumer] == r->produced) {
		length = r->code;
	} else {
		const struct slot *slot = &r->slots[r->consumed[consumer] % r->count];

		length = (long)slot->length;
		*ret_bytes = slot->bytes;
	}
	pthread_mutex_unlock(&r->lock);
	return length;
}

void byte_ring_pass(struct byte_ring *r, unsigned consumer)
{
	pthread_mutex_lock(&r->lock);
	r->consumed[consumer]++;
	pthread_cond_signal(&r->passed);
	pthread_mutex_unlock(&r->lock);
}

void byte_ring_stop(struct byte_ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->stopped = true;
	pthread_cond_broadcast(&r->published);
	pthread_cond_broadcast(&r->passed);
	pthread_mutex_unlock(&r->lock);
}
