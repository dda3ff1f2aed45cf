/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening socket: the limits of its clients, the users behind them, and the calls that wait for
 * a worker. No client of one lane, and no single user of it, can exhaust what the others need.
 * Private to the server, in the loop.
 */
#pragma once

#include <systemd/sd-event.h>

#include "transport/grpc_call_state.h"
#include "transport/grpc_listener_options.h"

struct grpc_lane;

struct grpc_user {
	uid_t uid;
	struct grpc_user *next;
	size_t origins; /* it is freed after the last one */
	size_t connections, calls, running, running_brief;
	struct grpc_share share;
};

/* Where calls come from. It stays until the last of them is done, which may be long after the
 * connection is gone. */
struct grpc_origin {
	struct grpc_lane *lane;
	struct grpc_user *user;
	struct grpc_peer peer;
	size_t calls;
	bool closed;
};

/* What a lane needs of its server. */
struct grpc_lane_server {
	/* Runs work(arg) on some other thread; -EAGAIN when that is full. */
	int (*submit)(void (*work)(void *arg), void *arg, void *user);
	bool (*may_run)(const struct grpc_method *method, void *user);
	/* After the last call of a closed connection. */
	void (*origin_gone)(uint64_t connection, void *user);
	/* A call could not be given to a worker: grpc_lane_start_calls() has to be tried again. */
	void (*must_retry)(void *user);
	void *user;
};

struct grpc_lane {
	struct grpc_listener_options options;
	struct grpc_lane_server server;
	sd_event_source *source; /* the listener's */
	struct grpc_user *users;
	size_t origins, connections, calls, running, running_brief;
	struct grpc_call *waiting, **last_waiting; /* for a worker */
	struct grpc_budget budget;
};

void grpc_lane_init(struct grpc_lane *lane, const struct grpc_listener_options *options,
		    const struct grpc_lane_server *server);
size_t grpc_lane_user_connections(const struct grpc_lane *lane, uid_t uid);
/* For a new connection. NULL: out of memory. */
struct grpc_origin *grpc_lane_open_origin(struct grpc_lane *lane, const struct grpc_peer *peer);
/* Its connection is closed. Frees it, if it has no calls. */
void grpc_lane_close_origin(struct grpc_origin *origin);

/* Whether there is room for one more call. */
bool grpc_lane_has_room(const struct grpc_origin *origin);
/* Counts a new call. */
void grpc_lane_add_call(struct grpc_origin *origin, struct grpc_call *call);
/* Gives a whole call to a worker, now or when there is one for it. -EAGAIN. */
int grpc_lane_submit(struct grpc_call *call);
/* The worker is done with it: starts the next one. */
void grpc_lane_take_back(struct grpc_call *call);
/* Frees a call that no worker has. */
void grpc_lane_drop_call(struct grpc_call *call);
void grpc_lane_start_calls(struct grpc_lane *lane);
