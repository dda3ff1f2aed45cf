/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to the server of another program on this host, for a worker that calls it: one call
 * at a time, whose request and reply may be streams. Each function blocks, until the call is
 * cancelled or the server has been silent for too long.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct grpc_channel;

#define GRPC_CHANNEL_HEADERS_MAX 4

/* A header of every call. */
struct grpc_channel_header {
	const char *name, *value;
};

/* The values of headers are copied; the other texts and the flag must outlive the channel. */
struct grpc_channel_options {
	const char *socket; /* a path */
	const char *peer; /* for texts of errors: "containerd" */
	struct grpc_channel_header headers[GRPC_CHANNEL_HEADERS_MAX];
	size_t header_count;
	const atomic_bool *cancelled; /* may be NULL */
	int64_t patience_ns; /* how long the server may neither send nor take anything */
	int64_t call_limit_ns; /* how long a call may take altogether; 0: no limit */
	size_t max_reply_bytes; /* of one message; 0: what containerd limits its own to */
	const char *upgrade; /* a path of the HTTP/1.1 that the server speaks first; NULL: none */
};

/* -EAGAIN: the server is not there. */
int grpc_channel_open(const struct grpc_channel_options *options, struct grpc_channel **ret_channel,
		      struct error *e);
void grpc_channel_free(struct grpc_channel *ch);
DEFINE_CLEANUP(struct grpc_channel *, grpc_channel_free)
const char *grpc_channel_peer(const struct grpc_channel *ch); /* as in the options */

/* Receives each message of the reply (borrowed for the call); a negative return ends the call, and
 * the text is in e. */
typedef int (*grpc_channel_reply)(const uint8_t *message, size_t length, void *user,
				  struct error *e);

/* Begins a call; `reply` may be NULL. */
int grpc_channel_begin(struct grpc_channel *ch, const char *path, grpc_channel_reply reply,
		       void *user, struct error *e);
/* Sends one message of the request, and returns once the socket has taken it. When the server has
 * ended the call, the error is the server's. */
int grpc_channel_send(struct grpc_channel *ch, const void *message, size_t length, struct error *e);
/* Ends the request and waits for the end of the reply: 0, or the errno that the server's status
 * stands for, with its text; -ECANCELED; -ETIMEDOUT; -EAGAIN when the connection was lost. */
int grpc_channel_finish(struct grpc_channel *ch, struct error *e);

/* The three above, for a request of one message. */
int grpc_channel_call(struct grpc_channel *ch, const char *path, const void *message, size_t length,
		      grpc_channel_reply reply, void *user, struct error *e);
