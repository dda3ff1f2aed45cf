/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent shows over HTTP: metrics at /metrics. */
#pragma once

#include "web/http_server.h"

struct grpc_meters;
struct manager;
struct web;

struct web_options {
	struct manager *manager;
	const struct grpc_meters *calls;
	int sockets[HTTP_SERVER_SOCKETS_MAX]; /* as of the HTTP server, which takes them */
	bool is_local[HTTP_SERVER_SOCKETS_MAX];
	size_t socket_count;
};

/* Takes the sockets, also on failure. The manager and the meters must outlive it. */
int web_start(const struct web_options *options, struct web **ret_web, struct error *e);
void web_stop(struct web *w);
DEFINE_CLEANUP(struct web *, web_stop)
