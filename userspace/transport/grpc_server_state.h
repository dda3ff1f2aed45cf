/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server consists of. Private to it: its connections and their calls look at it, and only
 * the loop's thread does, but for what has a lock.
 */
#pragma once

#include <pthread.h>

#include "transport/grpc_call.h"

#define GRPC_SERVER_LISTENERS_MAX 8

struct grpc_connection;

/* A listening socket, and what its clients have in use. */
struct grpc_lane {
	struct grpc_server *server;
	struct grpc_listener_options options;
	sd_event_source *source;
	size_t connections, calls, running;
	struct grpc_call *waiting, **last_waiting; /* for a worker */
	struct grpc_budget budget;
};

struct grpc_server {
	sd_event *loop;
	struct grpc_server_options options;
	struct grpc_service *services;
	struct grpc_lane lanes[GRPC_SERVER_LISTENERS_MAX];
	size_t lane_count;
	struct grpc_connection *connections;
	uint64_t next_connection;
	int wake_fd;
	sd_event_source *wake, *shut_down_timer;
	sd_event_source *sweep;
	bool sweeping; /* the sweep's timer runs */
	void (*shut_down_done)(void *user);
	bool draining;
	/* Calls that their workers have put something into. */
	pthread_mutex_t ready_lock;
	struct grpc_call *ready;
};

/* Puts the call among those that the loop looks at; thread-safe. True: write to its wake_fd. */
bool grpc_server_enqueue(struct grpc_call *call);
/* The call will be freed: nobody is to be told of it any more. */
void grpc_server_forget(struct grpc_call *call);
/* Has what is half done looked at after a while. */
void grpc_server_expect_sweep(struct grpc_server *s);

/* Gives the call to a worker, now or when the lane may have one more running. -EAGAIN. */
int grpc_lane_submit(struct grpc_lane *lane, struct grpc_call *call);
/* The call is about to be freed: takes it out of the list, or starts the next one of it. */
void grpc_lane_leave(struct grpc_lane *lane, struct grpc_call *call);
