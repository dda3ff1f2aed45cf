/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: those that the agent has in memory, and with `follow` those that come. A follower has a
 * thread of its own, so that it keeps no worker; their number is limited. A client that reads
 * slowly misses events, and holds up nothing but its own thread.
 */
#pragma once

#include "base/cleanup.h"
#include "transport/grpc_service.h"

struct event_ring;
struct events_service;
struct manager;

/* Ends with a NULL path. The user pointer of every call is a struct events_service. */
extern const struct grpc_method events_service_methods[];

/* NULL: out of memory. The manager must outlive it. */
struct events_service *events_service_new(struct manager *m);
/* Ends all followers, and waits for them. While calls can still begin, new ones end at once. */
void events_service_stop(struct events_service *s);
/* After events_service_stop(), and after the last call. */
void events_service_free(struct events_service *s);
