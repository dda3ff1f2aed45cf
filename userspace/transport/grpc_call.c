/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT_QUEUE_BYTES ((size_t)64 * 1024)

struct grpc_call *grpc_call_new(size_t max_message_bytes, struct grpc_budget *budget)
{
	struct grpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->request.max_message_bytes = max_message_bytes;
	call->budget = budget;
	pthread_mutex_init(&call->lock, NULL);
	pthread_cond_init(&call->drained, NULL);
	return call;
}

void grpc_call_free(struct grpc_call *call)
{
	if (!call)
		return;
	sd_event_source_disable_unref(call->deadline);
	atomic_fetch_sub(&call->budget->held_bytes,
			 call->request_held_bytes + call->queue_capacity);
	grpc_frame_reader_free(&call->request);
	pthread_mutex_destroy(&call->lock);
	pthread_cond_destroy(&call->drained);
	free(call->queue);
	free(call->text);
	free(call->path);
	free(call);
}

const uint8_t *grpc_call_request(const struct grpc_call *call, size_t *ret_length)
{
	*ret_length = call->request.length;
	return call->request.message;
}

const struct grpc_peer *grpc_call_peer(const struct grpc_call *call)
{
	return &call->peer;
}

const char *grpc_call_path(const struct grpc_call *call)
{
	return call->path;
}

bool grpc_call_cancelled(const struct grpc_call *call)
{
	return atomic_load(&call->cancelled);
}

const atomic_bool *grpc_call_cancel_flag(const struct grpc_call *call)
{
	return &call->cancelled;
}

void grpc_call_hold_request(struct grpc_call *call)
{
	atomic_fetch_add(&call->budget->held_bytes,
			 call->request.capacity - call->request_held_bytes);
	call->request_held_bytes = call->request.capacity;
}

/* With the lock. What was taken goes once it is the larger part: little is moved often. */
static bool reserve(struct grpc_call *call, size_t more)
{
	size_t capacity = call->queue_capacity ? call->queue_capacity : 512;
	uint8_t *queue;

	if (call->queue_taken >= call->queue_length - call->queue_taken) {
		call->queue_length -= call->queue_taken;
		if (call->queue_length)
			memmove(call->queue, call->queue + call->queue_taken, call->queue_length);
		call->queue_taken = 0;
	}
	while (capacity < call->queue_length + more)
		capacity *= 2;
	if (capacity == call->queue_capacity)
		return true;
	queue = realloc(call->queue, capacity);
	if (!queue)
		return false;
	atomic_fetch_add(&call->budget->held_bytes, capacity - call->queue_capacity);
	call->queue = queue;
	call->queue_capacity = capacity;
	return true;
}

/* With the lock. */
static bool must_wait(const struct grpc_call *call)
{
	size_t queued = call->queue_length - call->queue_taken;

	if (call->ended || atomic_load(&call->cancelled) || queued <= GRPC_CALL_QUEUE_BYTES)
		return false;
	return queued > GRPC_CALL_MAX_QUEUE_BYTES ||
	       atomic_load(&call->budget->held_bytes) > call->budget->max_held_bytes;
}

/* With the lock. */
static int queue_message(struct grpc_call *call, const void *message, size_t length)
{
	if (length > UINT32_MAX)
		return -EMSGSIZE;
	if (must_wait(call)) {
		atomic_fetch_add(&call->budget->blocked, 1);
		do
			pthread_cond_wait(&call->drained, &call->lock);
		while (must_wait(call));
		atomic_fetch_sub(&call->budget->blocked, 1);
	}
	if (call->ended || atomic_load(&call->cancelled))
		return -ECANCELED;
	if (!reserve(call, length + GRPC_FRAME_PREFIX_BYTES))
		return -ENOMEM;
	grpc_frame_write_prefix(call->queue + call->queue_length, length);
	if (length)
		memcpy(call->queue + call->queue_length + GRPC_FRAME_PREFIX_BYTES, message, length);
	call->queue_length += length + GRPC_FRAME_PREFIX_BYTES;
	call->any_message = true;
	return 0;
}

/* With the lock, which it gives back: the loop that is woken wants it. */
static void wake_and_unlock(struct grpc_call *call)
{
	bool ring = call->enqueue(call);
	int fd = call->wake_fd;
	uint64_t one = 1;

	pthread_mutex_unlock(&call->lock);
	/* Cannot fail: the counter is far from its end, and the loop empties it. */
	if (ring)
		(void)!write(fd, &one, sizeof(one));
}

int grpc_call_send(struct grpc_call *call, const void *message, size_t length)
{
	int code;

	pthread_mutex_lock(&call->lock);
	code = queue_message(call, message, length);
	if (code < 0)
		pthread_mutex_unlock(&call->lock);
	else
		wake_and_unlock(call);
	return code;
}

static void end_locked(struct grpc_call *call, int status, const char *text)
{
	if (call->ended)
		return;
	call->ended = true;
	call->status = status;
	call->text = status && text ? strdup(text) : NULL; /* a lost text is no lost status */
}

void grpc_call_end(struct grpc_call *call, int status, const char *text)
{
	pthread_mutex_lock(&call->lock);
	end_locked(call, status, text);
	pthread_mutex_unlock(&call->lock);
}

/* With the lock, which it gives back; then the loop may free the call. */
static void finish_and_unlock(struct grpc_call *call, int code, const char *text)
{
	end_locked(call, code, text);
	call->worker_done = true;
	wake_and_unlock(call);
}

void grpc_call_finish(struct grpc_call *call, int code, const char *text)
{
	pthread_mutex_lock(&call->lock);
	finish_and_unlock(call, code, text);
}

void grpc_call_reply(struct grpc_call *call, const void *message, size_t length)
{
	int code;

	pthread_mutex_lock(&call->lock);
	code = queue_message(call, message, length);
	finish_and_unlock(call, code, code < 0 ? strerror(-code) : NULL);
}

void grpc_call_cancel(struct grpc_call *call)
{
	atomic_store(&call->cancelled, true);
	pthread_mutex_lock(&call->lock);
	pthread_cond_broadcast(&call->drained);
	pthread_mutex_unlock(&call->lock);
}

/* With the lock. A large queue is not kept for the rest of a long call. */
static void empty_queue(struct grpc_call *call)
{
	call->queue_taken = call->queue_length = 0;
	if (call->queue_capacity <= KEPT_QUEUE_BYTES)
		return;
	atomic_fetch_sub(&call->budget->held_bytes, call->queue_capacity);
	free(call->queue);
	call->queue = NULL;
	call->queue_capacity = 0;
}

size_t grpc_call_take(struct grpc_call *call, uint8_t *bytes, size_t room, bool *ret_end)
{
	size_t count;

	pthread_mutex_lock(&call->lock);
	count = call->queue_length - call->queue_taken;
	if (count > room)
		count = room;
	if (count)
		memcpy(bytes, call->queue + call->queue_taken, count);
	call->queue_taken += count;
	call->total_taken += count;
	if (call->queue_taken == call->queue_length)
		empty_queue(call);
	*ret_end = call->ended && call->queue_taken == call->queue_length;
	pthread_cond_signal(&call->drained);
	pthread_mutex_unlock(&call->lock);
	return count;
}

bool grpc_call_is_only_trailers(struct grpc_call *call)
{
	bool only;

	pthread_mutex_lock(&call->lock);
	only = call->ended && !call->any_message;
	pthread_mutex_unlock(&call->lock);
	return only;
}

bool grpc_call_has_output(struct grpc_call *call)
{
	bool has;

	pthread_mutex_lock(&call->lock);
	has = call->ended || call->queue_taken < call->queue_length;
	pthread_mutex_unlock(&call->lock);
	return has;
}

bool grpc_call_is_stalled(struct grpc_call *call)
{
	bool stalled;

	pthread_mutex_lock(&call->lock);
	stalled = call->queue_taken < call->queue_length &&
		  call->total_taken == call->taken_when_swept;
	call->taken_when_swept = call->total_taken;
	pthread_mutex_unlock(&call->lock);
	return stalled;
}

bool grpc_call_worker_is_done(struct grpc_call *call)
{
	bool done;

	pthread_mutex_lock(&call->lock);
	done = call->worker_done;
	pthread_mutex_unlock(&call->lock);
	return done;
}
