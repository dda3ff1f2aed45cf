/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct grpc_call *grpc_call_new(size_t max_message_bytes)
{
	struct grpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->request.max_message_bytes = max_message_bytes;
	pthread_mutex_init(&call->lock, NULL);
	pthread_cond_init(&call->drained, NULL);
	return call;
}

void grpc_call_free(struct grpc_call *call)
{
	if (!call)
		return;
	sd_event_source_disable_unref(call->deadline);
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

/* With the lock. */
static bool reserve(struct grpc_call *call, size_t more)
{
	size_t capacity = call->queue_capacity ? call->queue_capacity : 512;
	uint8_t *queue;

	if (call->queue_taken == call->queue_length)
		call->queue_taken = call->queue_length = 0;
	while (capacity < call->queue_length + more)
		capacity *= 2;
	if (capacity == call->queue_capacity)
		return true;
	queue = realloc(call->queue, capacity);
	if (!queue)
		return false;
	call->queue = queue;
	call->queue_capacity = capacity;
	return true;
}

int grpc_call_send(struct grpc_call *call, const void *message, size_t length)
{
	int code = 0;

	if (length > UINT32_MAX)
		return -EMSGSIZE;
	pthread_mutex_lock(&call->lock);
	while (call->queue_length - call->queue_taken > GRPC_CALL_QUEUE_BYTES && !call->ended &&
	       !atomic_load(&call->cancelled))
		pthread_cond_wait(&call->drained, &call->lock);
	if (call->ended || atomic_load(&call->cancelled)) {
		code = -ECANCELED;
	} else if (!reserve(call, length + GRPC_FRAME_PREFIX_BYTES)) {
		code = -ENOMEM;
	} else {
		grpc_frame_write_prefix(call->queue + call->queue_length, length);
		if (length)
			memcpy(call->queue + call->queue_length + GRPC_FRAME_PREFIX_BYTES, message,
			       length);
		call->queue_length += length + GRPC_FRAME_PREFIX_BYTES;
		call->any_message = true;
	}
	pthread_mutex_unlock(&call->lock);
	if (code == 0)
		call->wake(call);
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

void grpc_call_finish(struct grpc_call *call, int code, const char *text)
{
	pthread_mutex_lock(&call->lock);
	end_locked(call, code, text);
	call->worker_done = true;
	/* Under the lock: once it is seen as done the loop may free it. */
	call->wake(call);
	pthread_mutex_unlock(&call->lock);
}

void grpc_call_cancel(struct grpc_call *call)
{
	atomic_store(&call->cancelled, true);
	pthread_mutex_lock(&call->lock);
	pthread_cond_broadcast(&call->drained);
	pthread_mutex_unlock(&call->lock);
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

bool grpc_call_worker_is_done(struct grpc_call *call)
{
	bool done;

	pthread_mutex_lock(&call->lock);
	done = call->worker_done;
	pthread_mutex_unlock(&call->lock);
	return done;
}
