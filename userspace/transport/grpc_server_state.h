/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server consists of. Private to it: its connections and their calls look at it, and only
 * the loop's thread does, but for what has a lock.
 */
#pragma once

#include <pthread.h>

#include "transport/grpc_server.h"

#define GRPC_SERVER_LISTENERS_MAX 8

struct grpc_connection;

struct grpc_server {
	sd_event *loop;
	struct grpc_server_options options;
	struct grpc_service *services;
	sd_event_source *listeners[GRPC_SERVER_LISTENERS_MAX];
	size_t listener_count;
	struct grpc_connection *connections;
	size_t connection_count;
	uint64_t next_connection;
	int wake_fd;
	sd_event_source *wake, *shut_down_timer;
	void (*shut_down_done)(void *user);
	bool draining;
	/* Calls that their workers have put something into. */
	pthread_mutex_t ready_lock;
	struct grpc_call *ready;
};

/* Tells the loop that there is something to do for the call; thread-safe. */
void grpc_server_wake(struct grpc_call *call);
/* The call will be freed: nobody is to be told of it any more. */
void grpc_server_forget(struct grpc_call *call);
