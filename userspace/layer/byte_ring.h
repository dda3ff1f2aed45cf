/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of large slots between one producer and up to two consumers, each of which sees every
 * byte: the bound on what the threads of a layer's transfer hold in memory. A slot is free again
 * when all consumers have passed it. An end with a code comes after the bytes before it.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

#define BYTE_RING_CONSUMERS 2

struct byte_ring;

struct byte_ring *byte_ring_new(size_t slot_bytes, size_t slots, unsigned consumers); /* or NULL */
void byte_ring_free(struct byte_ring *r); /* after all threads have left it */
DEFINE_CLEANUP(struct byte_ring *, byte_ring_free)

/* Waits for a free slot of slot_bytes to fill. NULL: the ring was stopped. */
void *byte_ring_reserve(struct byte_ring *r);
/* Hands over the reserved slot with this many bytes, at least one. */
void byte_ring_publish(struct byte_ring *r, size_t length);
/* Ends the stream; code is 0 or a negative errno. Only the first call counts. */
void byte_ring_end(struct byte_ring *r, int code);

/* What the consumer has not passed yet: its length, 0 at the end, the producer's code, or
 * -ECANCELED when it was stopped. Waits. */
long byte_ring_look(struct byte_ring *r, unsigned consumer, const void **ret_bytes);
void byte_ring_pass(struct byte_ring *r, unsigned consumer); /* the slot that it looked at */

/* All waiting and later calls return at once. */
void byte_ring_stop(struct byte_ring *r);
