/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest events of the agent, in memory: what happened to records and to the store. Threads add
 * to it at any time, also with other locks held, and never wait; the oldest events make room. Each
 * reader has a cursor of its own, so that a slow one misses events, and learns how many.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "graph/record.h"

#define EVENT_RING_SIZE 2048

/* The names of event_ring_kind_name() never change: clients compare them. */
enum event_kind {
	EVENT_CREATED, /* a record has got a layer of its own */
	EVENT_COMMITTED, /* the layer is complete */
	EVENT_MOUNTED, /* by the agent */
	EVENT_FIRST_READ,
	EVENT_EVICTED,
	EVENT_REMOVED, /* by its owner */
	EVENT_REGRETTED, /* an evicted layer is made again */
	EVENT_FETCHED, /* a blob, from a registry */
	EVENT_FETCH_FAILED,
	EVENT_LOST, /* accesses that could not be counted */
	EVENT_LOW_SPACE,
	EVENT_OWNER_LOST, /* an owner of layers does not answer */
	EVENT_OWNER_BACK, /* it answers again */
	EVENT_KIND_COUNT,
};

struct ring_event {
	uint64_t seq; /* grows by one; the ring sets it, and the time */
	int64_t at_ns;
	enum event_kind kind;
	char record[RECORD_ID_LENGTH + 1], layer[LAYER_NAME_LENGTH + 1]; /* "": none */
	int64_t bytes; /* -1: not known */
	char by[64]; /* POLICY/SCORER of an eviction, or "" */
	char plan[16]; /* of an eviction, or "" */
	char detail[160]; /* a sentence, or "" */
};

struct event_ring;

struct event_ring *event_ring_new(void); /* NULL: out of memory */
void event_ring_free(struct event_ring *ring);
DEFINE_CLEANUP(struct event_ring *, event_ring_free)

const char *event_ring_kind_name(enum event_kind kind);

void event_ring_add(struct event_ring *ring, const struct ring_event *event);
/* The number of the last event; 0: there was none. */
uint64_t event_ring_last(struct event_ring *ring);
/* Copies at most `max` events after this number, the oldest first, and returns how many.
 * *ret_missed are those that made room before. */
size_t event_ring_read(struct event_ring *ring, uint64_t after, struct ring_event *events,
		       size_t max, uint64_t *ret_missed);
/* Waits for an event after this number, a second at most. False: the ring was closed. */
bool event_ring_wait(struct event_ring *ring, uint64_t after);
/* Readers do not wait from now on. Events can still be added. */
void event_ring_close(struct event_ring *ring);
