/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call, between the loop's thread and the worker that runs it. Private to the server. The
 * worker puts messages in and waits while there are too many; the loop takes bytes out. The loop
 * frees a call when its stream is closed and its worker has finished, whichever comes last.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "transport/grpc_frame.h"
#include "transport/grpc_server.h"

/* So much may be queued for a client in any case; more while the calls of its socket hold less
 * than they may, so that a slow reader costs memory for a while and no worker. */
#define GRPC_CALL_QUEUE_BYTES ((size_t)1024 * 1024)
#define GRPC_CALL_MAX_QUEUE_BYTES ((size_t)16 * 1024 * 1024)

struct grpc_connection;

/* What the calls of one listening socket share. */
struct grpc_budget {
	size_t max_held_bytes;
	atomic_size_t held_bytes; /* of requests, and of replies that are not sent yet */
	atomic_size_t blocked; /* workers that wait for their client to read */
};

struct grpc_call {
	/* The loop's. */
	struct grpc_connection *connection;
	struct grpc_call *next_of_connection, **link;
	struct grpc_call *next_waiting; /* for a worker, in the lane's list */
	int32_t stream;
	const struct grpc_method *method; /* NULL: unknown */
	void *user; /* of the method's service */
	char *path;
	size_t header_bytes;
	bool is_post, is_grpc, is_encoded;
	bool has_headers; /* all of them */
	uint64_t begun_us;
	struct grpc_frame_reader request;
	size_t request_held_bytes;
	int64_t timeout_ns; /* 0: none */
	sd_event_source *deadline;
	bool stream_open;
	bool response_submitted;
	bool whole; /* the request is, and goes to a worker */
	bool waiting; /* for one, in the lane's list */
	bool dispatched; /* a worker has it, or had it */
	bool refused; /* answered without a worker */
	uint64_t taken_when_swept;
	uint64_t stalled_since_us; /* 0: its reply moves, or there is none */

	struct grpc_peer peer;
	atomic_bool cancelled;
	struct grpc_budget *budget;
	/* Puts the call among those that the loop looks at; thread-safe. True: `wake_fd` has to be
	 * written to. Both outlive every call. */
	bool (*enqueue)(struct grpc_call *call);
	int wake_fd;

	/* What both threads share. */
	pthread_mutex_t lock;
	pthread_cond_t drained;
	uint8_t *queue; /* length-prefixed messages */
	size_t queue_length, queue_capacity, queue_taken;
	uint64_t total_taken;
	bool any_message;
	bool ended; /* `status` and `text` are set: nothing more will be queued */
	int status; /* 0 or a negative errno */
	char *text;
	bool worker_done;
	struct grpc_call *next_ready;
	bool ready; /* in the server's list */
};

struct grpc_call *grpc_call_new(size_t max_message_bytes, struct grpc_budget *budget);
void grpc_call_free(struct grpc_call *call);

/* For the loop. Sets the end unless there is one already; the worker's own comes too late then. */
void grpc_call_end(struct grpc_call *call, int status, const char *text);
/* Counts what the request has grown by. */
void grpc_call_hold_request(struct grpc_call *call);
/* The client is gone, or out of patience: wakes the worker. */
void grpc_call_cancel(struct grpc_call *call);
/* Takes up to `room` queued bytes. *ret_end: nothing is left and nothing will come. */
size_t grpc_call_take(struct grpc_call *call, uint8_t *bytes, size_t room, bool *ret_end);
/* No message will ever be sent: the reply is trailers only. */
bool grpc_call_is_only_trailers(struct grpc_call *call);
bool grpc_call_has_output(struct grpc_call *call);
/* Whether it has had output since the last time, of which nothing was taken. */
bool grpc_call_is_stalled(struct grpc_call *call);
bool grpc_call_worker_is_done(struct grpc_call *call);
