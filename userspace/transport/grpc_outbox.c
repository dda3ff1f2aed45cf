/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/grpc_frame.h"

#define FIRST_CAPACITY 512
#define KEPT_CAPACITY ((size_t)64 * 1024)

void grpc_outbox_init(struct grpc_outbox *o, struct grpc_share *share)
{
	*o = (struct grpc_outbox){ .share = share };
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->drained, NULL);
}

void grpc_outbox_free(struct grpc_outbox *o)
{
	grpc_budget_release(o->share, o->capacity);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->drained);
	free(o->queue);
	free(o->text);
}

/* Doubles small buffers, so that appending is cheap. Large ones grow by what is needed, so that the
 * memory stays close to what the budget counts. */
static size_t capacity_for(size_t length)
{
	size_t capacity = FIRST_CAPACITY;

	if (length > GRPC_OUTBOX_BYTES)
		return (length + GRPC_OUTBOX_BYTES - 1) / GRPC_OUTBOX_BYTES * GRPC_OUTBOX_BYTES;
	while (capacity < length)
		capacity *= 2;
	return capacity;
}

/* With the lock. Drops the bytes that were taken once they are the larger part, so that few bytes
 * are moved. */
static bool reserve(struct grpc_outbox *o, size_t more)
{
	size_t capacity;
	uint8_t *queue;

	if (o->taken >= o->length - o->taken) {
		o->length -= o->taken;
		if (o->length)
			memmove(o->queue, o->queue + o->taken, o->length);
		o->taken = 0;
	}
	if (o->length + more <= o->capacity)
		return true;
	capacity = capacity_for(o->length + more);
	queue = realloc(o->queue, capacity);
	if (!queue)
		return false;
	grpc_budget_hold(o->share, capacity - o->capacity);
	o->queue = queue;
	o->capacity = capacity;
	return true;
}

/* With the lock. */
static bool must_wait(struct grpc_outbox *o)
{
	size_t queued = o->length - o->taken;

	if (o->ended || atomic_load(&o->cancelled) || queued <= GRPC_OUTBOX_BYTES)
		return false;
	return queued > GRPC_OUTBOX_MAX_BYTES || grpc_budget_is_low(o->share);
}

/* With the lock. */
static void wait_for_room(struct grpc_outbox *o)
{
	if (!must_wait(o))
		return;
	atomic_fetch_add(&o->share->budget->blocked, 1);
	do
		pthread_cond_wait(&o->drained, &o->lock);
	while (must_wait(o));
	atomic_fetch_sub(&o->share->budget->blocked, 1);
}

/* With the lock. */
static int put(struct grpc_outbox *o, const void *message, size_t length)
{
	if (length > UINT32_MAX)
		return -EMSGSIZE;
	wait_for_room(o);
	if (o->ended || atomic_load(&o->cancelled))
		return -ECANCELED;
	if (!reserve(o, length + GRPC_FRAME_PREFIX_BYTES))
		return -ENOMEM;
	grpc_frame_write_prefix(o->queue + o->length, length);
	if (length)
		memcpy(o->queue + o->length + GRPC_FRAME_PREFIX_BYTES, message, length);
	o->length += length + GRPC_FRAME_PREFIX_BYTES;
	o->any_message = true;
	return 0;
}

int grpc_outbox_put(struct grpc_outbox *o, const void *message, size_t length)
{
	int code;

	pthread_mutex_lock(&o->lock);
	code = put(o, message, length);
	pthread_mutex_unlock(&o->lock);
	return code;
}

void grpc_outbox_end(struct grpc_outbox *o, int status, const char *text)
{
	pthread_mutex_lock(&o->lock);
	if (!o->ended) {
		o->status = status;
		/* Out of memory, the status is sent without its text. */
		o->text = status && text ? strdup(text) : NULL;
		o->ended = true;
	}
	pthread_mutex_unlock(&o->lock);
}

void grpc_outbox_cancel(struct grpc_outbox *o)
{
	atomic_store(&o->cancelled, true);
	pthread_mutex_lock(&o->lock);
	pthread_cond_broadcast(&o->drained);
	pthread_mutex_unlock(&o->lock);
}

/* With the lock. Frees a large queue once it is empty, because the call may still run for long. */
static void empty(struct grpc_outbox *o)
{
	o->taken = o->length = 0;
	if (o->capacity <= KEPT_CAPACITY)
		return;
	grpc_budget_release(o->share, o->capacity);
	free(o->queue);
	o->queue = NULL;
	o->capacity = 0;
}

size_t grpc_outbox_take(struct grpc_outbox *o, uint8_t *bytes, size_t room, bool *ret_end)
{
	size_t count;

	pthread_mutex_lock(&o->lock);
	count = o->length - o->taken;
	if (count > room)
		count = room;
	if (count)
		memcpy(bytes, o->queue + o->taken, count);
	o->taken += count;
	o->total_taken += count;
	if (o->taken == o->length)
		empty(o);
	*ret_end = o->ended && o->taken == o->length;
	pthread_cond_signal(&o->drained);
	pthread_mutex_unlock(&o->lock);
	return count;
}

bool grpc_outbox_is_only_trailers(struct grpc_outbox *o)
{
	bool only;

	pthread_mutex_lock(&o->lock);
	only = o->ended && !o->any_message;
	pthread_mutex_unlock(&o->lock);
	return only;
}

bool grpc_outbox_has_output(struct grpc_outbox *o)
{
	bool has;

	pthread_mutex_lock(&o->lock);
	has = o->ended || o->taken < o->length;
	pthread_mutex_unlock(&o->lock);
	return has;
}

bool grpc_outbox_is_stalled(struct grpc_outbox *o)
{
	bool stalled;

	pthread_mutex_lock(&o->lock);
	stalled = o->taken < o->length && o->total_taken - o->taken_when_moving < GRPC_MOVING_BYTES;
	if (!stalled)
		o->taken_when_moving = o->total_taken;
	pthread_mutex_unlock(&o->lock);
	return stalled;
}
