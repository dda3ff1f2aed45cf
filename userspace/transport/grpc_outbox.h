/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reply of one call on its way from the worker, which puts messages in and waits while there
 * are too many, to the loop, which takes bytes out. It ends once, by whichever side is first.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/grpc_budget.h"

/* So much may be queued for a client in any case; more while its user may hold more, so that a slow
 * reader costs memory for a while and no worker. */
#define GRPC_OUTBOX_BYTES ((size_t)1024 * 1024)
#define GRPC_OUTBOX_MAX_BYTES ((size_t)16 * 1024 * 1024)

/* A client that takes less in all the time that it gets holds a worker up as one that takes
 * nothing. */
#define GRPC_MOVING_BYTES ((size_t)16 * 1024)

struct grpc_outbox {
	struct grpc_share *share;
	atomic_bool cancelled;
	pthread_mutex_t lock;
	pthread_cond_t drained;
	uint8_t *queue; /* length-prefixed messages */
	size_t length, capacity, taken;
	uint64_t total_taken, taken_when_moving; /* see grpc_outbox_is_stalled() */
	bool any_message;
	bool ended; /* `status` and `text` are set and stay: nothing more will be queued */
	int status; /* 0 or a negative errno */
	char *text; /* NULL: none */
};

void grpc_outbox_init(struct grpc_outbox *o, struct grpc_share *share);
void grpc_outbox_free(struct grpc_outbox *o);

/* For the worker. Copies; waits while the client is slow. -ECANCELED, -EMSGSIZE, -ENOMEM. */
int grpc_outbox_put(struct grpc_outbox *o, const void *message, size_t length);
/* Sets the end, unless it is set already. */
void grpc_outbox_end(struct grpc_outbox *o, int status, const char *text);
/* Wakes the worker if it waits, and refuses all further messages. */
void grpc_outbox_cancel(struct grpc_outbox *o);

/* For the loop. Takes up to `room` queued bytes. *ret_end: nothing is left and nothing will come.
 */
size_t grpc_outbox_take(struct grpc_outbox *o, uint8_t *bytes, size_t room, bool *ret_end);
/* Whether the reply has no message: it is trailers only. */
bool grpc_outbox_is_only_trailers(struct grpc_outbox *o);
bool grpc_outbox_has_output(struct grpc_outbox *o);
/* Whether output waits, and less than GRPC_MOVING_BYTES were taken since it was seen to move. */
bool grpc_outbox_is_stalled(struct grpc_outbox *o);
