/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2 (h2c, prior knowledge) on a listening unix socket. One thread, the owner of the
 * sd-event loop, owns every connection; each call runs in straight-line code on a worker that the
 * owner's `submit` provides, and may block there.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"

struct grpc_server;
struct grpc_call;

/* What only reads may be called through a read-only socket. */
enum grpc_method_kind { GRPC_METHOD_CHANGES, GRPC_METHOD_READS };

struct grpc_method {
	const char *path; /* "/package.Service/Method" */
	/* On a worker; must end with grpc_call_finish or grpc_call_reply. */
	void (*run)(struct grpc_call *call, void *user);
	enum grpc_method_kind kind;
};

/* One service, or several that share what their methods need. */
struct grpc_service {
	const struct grpc_method *methods; /* ends with a NULL path; borrowed */
	void *user; /* of its methods */
};

struct grpc_peer {
	uint64_t connection; /* never 0, never used twice by one server */
	pid_t pid; /* SO_PEERCRED */
	uid_t uid;
	gid_t gid;
	bool read_only; /* came through a read-only socket */
};

struct grpc_server_options {
	const struct grpc_service *services; /* ends with NULL methods; copied */
	void *user; /* of the callbacks below */
	/* Runs work(arg) on some other thread; -EAGAIN when that is full. */
	int (*submit)(void (*work)(void *arg), void *arg, void *user);
	/* In the loop's thread, after the last call of that connection has finished. */
	void (*connection_closed)(uint64_t connection, void *user);
	/* In the loop's thread, before each call: whether this peer (of that socket) may make it,
	 * else -EPERM with a sentence. NULL: everybody may. */
	int (*authorize)(const struct grpc_peer *peer, int socket, const struct grpc_method *method,
			 void *user, struct error *e);
	size_t max_message_bytes; /* of a request; larger ones end as RESOURCE_EXHAUSTED */
	/* How long a client may leave a request incomplete or its reply unread. */
	uint64_t patience_us;
	const char *unimplemented_hint; /* what an unknown method is told besides its name; may be
					   NULL */
};

/* Of one listening socket, so that the clients of one cannot exhaust what those of another need. */
struct grpc_listener_options {
	bool read_only;
	size_t max_connections; /* further ones are closed at once */
	size_t max_connections_per_user; /* root is not limited */
	size_t max_calls; /* further ones are refused, so that a client tries again */
	size_t max_running; /* on workers at a time; others wait */
	size_t max_blocked; /* with more workers waiting for slow readers, patience is short */
	size_t max_held_bytes; /* of requests and of replies that are not sent yet */
};

int grpc_server_new(sd_event *loop, const struct grpc_server_options *options,
		    struct grpc_server **ret_server, struct error *e);
/* Takes the listening socket, which must not block. May be called for several. */
int grpc_server_listen(struct grpc_server *s, int listener,
		       const struct grpc_listener_options *options, struct error *e);
/* GOAWAY to everybody, no new connections; calls under way finish, and are cancelled after a
 * minute. `done` is called in the loop when the last reply was sent, or at once. */
void grpc_server_shut_down(struct grpc_server *s, void (*done)(void *user));
/* Every call must have finished. */
void grpc_server_free(struct grpc_server *s);
DEFINE_CLEANUP(struct grpc_server *, grpc_server_free)

/* For the method, on its worker. The request is one whole message; it lives as long as the call. */
const uint8_t *grpc_call_request(const struct grpc_call *call, size_t *ret_length);
const struct grpc_peer *grpc_call_peer(const struct grpc_call *call);
const char *grpc_call_path(const struct grpc_call *call);
/* True once the client has reset the stream, gone away or let its deadline (grpc-timeout) pass. */
bool grpc_call_cancelled(const struct grpc_call *call);
/* The same as a flag, for work that looks at it now and then; it lives as long as the call. */
const atomic_bool *grpc_call_cancel_flag(const struct grpc_call *call);
/* Queues one message (copied) and waits while the client is slow; -ECANCELED when it is gone. */
int grpc_call_send(struct grpc_call *call, const void *message, size_t length);
/* Ends the call with trailers: code is 0 or a negative errno (grpc_status.h), text may be NULL.
 * The call must not be touched afterwards. */
void grpc_call_finish(struct grpc_call *call, int code, const char *text);
/* Sends a last or only message and ends the call well, at once. */
void grpc_call_reply(struct grpc_call *call, const void *message, size_t length);
