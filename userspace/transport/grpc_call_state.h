/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call as the server sees it. Private to the server. It belongs to its stream until a worker has
 * it; then the loop gets it back by the mailbox, and not before. While it runs it knows its
 * lane (through `origin`) and the mailbox, which outlive it, and reaches its stream, and the
 * connection behind that, only as long as the loop has them: `stream` is NULL afterwards.
 */
#pragma once

#include "transport/grpc_frame.h"
#include "transport/grpc_mailbox.h"
#include "transport/grpc_outbox.h"
#include "transport/grpc_peer.h"
#include "transport/grpc_service.h"

struct grpc_origin;
struct grpc_stream;

enum grpc_call_progress {
	GRPC_CALL_ARRIVES, /* or was refused before it was complete */
	GRPC_CALL_WAITS, /* for a worker, in its lane's list */
	GRPC_CALL_RUNS, /* so the loop must not free it */
	GRPC_CALL_IS_DONE,
};

struct grpc_call {
	struct grpc_mail mail; /* the mailbox's; the first member */
	struct grpc_mailbox *mailbox;
	/* The loop's. */
	struct grpc_origin *origin;
	struct grpc_stream *stream; /* NULL: it is closed */
	enum grpc_call_progress progress;
	bool is_brief; /* runs beside the calls that may take long */
	struct grpc_call *next_waiting;
	size_t request_held_bytes;
	/* Set before a worker gets the call. */
	struct grpc_peer peer;
	const struct grpc_method *method; /* NULL: unknown */
	void *user; /* of the method's service */
	struct grpc_frame_reader request;

	struct grpc_outbox outbox;
};

/* NULL: out of memory. The share must outlive the call. */
struct grpc_call *grpc_call_new(struct grpc_mailbox *mailbox, struct grpc_share *share,
				size_t max_message_bytes);
void grpc_call_free(struct grpc_call *call);
/* Adds the growth of the request to the budget. */
void grpc_call_hold_request(struct grpc_call *call);
/* Runs the method, on a worker. */
void grpc_call_run(void *arg);
