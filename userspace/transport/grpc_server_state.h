/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a server, private to its files. Only the thread that runs the loop uses them, except
 * for the mailbox.
 */
#pragma once

#include <systemd/sd-event.h>

#include "transport/grpc_lane.h"
#include "transport/grpc_meters.h"
#include "transport/grpc_server_options.h"

#define GRPC_SERVER_LISTENERS_MAX 8

struct grpc_connection;

struct grpc_server {
	sd_event *loop;
	struct grpc_server_options options;
	struct grpc_service *services;
	struct grpc_meters meters;
	struct grpc_lane lanes[GRPC_SERVER_LISTENERS_MAX];
	size_t lane_count;
	struct grpc_connection *connections; /* the open connections */
	uint64_t last_connection;
	struct grpc_mailbox mailbox;
	/* With options.in_turns: of the thread that runs the loop, or closes what the loop has. It
	 * comes before all other locks. */
	pthread_mutex_t turn;
	sd_event_source *wake; /* the mailbox's */
	sd_event_source *sweep;
	bool sweeping; /* the sweep's timer runs */
	bool draining; /* it is shutting down */
	sd_event_source *shut_down_timer;
	sd_event_source *drained; /* calls shut_down_done, soon after it is switched on */
	void (*shut_down_done)(void *user);
};
