/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server and its clients in one process: the loop runs in a thread of its own, calls on a worker
 * pool. The tests of the transport change its limits, and start it.
 */
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/worker_pool.h"
#include "transport/grpc_client.h"
#include "transport/grpc_server.h"

#define GRPC_FIXTURE_MESSAGES 10000
#define GRPC_FIXTURE_BIG_BYTES ((size_t)8 * 1024 * 1024)
#define GRPC_FIXTURE_CLIENTS 32

extern const char grpc_fixture_odd_text[];

struct grpc_fixture {
	char folder[64], path[96];
	pthread_t loop_thread; /* waits until the workers have run the loop to its end */
	sd_event *loop;
	struct worker_pool *workers;
	struct grpc_server *server;
	int stop_fd;
	uint64_t patience_us;
	struct grpc_listener_options listener;
	atomic_int closed_connections, calls_in_closed, running, poured, done;
	atomic_bool go, paused;
	pthread_mutex_t gate;
};

struct grpc_fixture_wait {
	struct grpc_client *client;
	int code;
};

struct grpc_fixture *grpc_fixture_new(void);
int grpc_fixture_start(struct grpc_fixture *f);
void grpc_fixture_tell(struct grpc_fixture *f, uint64_t count);
int grpc_fixture_tear_down(void **state);
/* The loop does nothing between the two calls, so that clients that connect and send meanwhile are
 * not late, however slow they are. */
void grpc_fixture_pause(struct grpc_fixture *f);
void grpc_fixture_resume(struct grpc_fixture *f);
struct grpc_client *grpc_fixture_connect(struct grpc_fixture *f);
void grpc_fixture_wait_until(const atomic_int *value, int wanted);
void *grpc_fixture_wait_call(void *arg);
