/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was read of which layer in the last ten minutes, and how fast just now: for live views.
 * Folds add to it. Only layers that were read meanwhile have an entry, and at most
 * RECENT_READS_LAYERS of them. Times are of CLOCK_BOOTTIME. Not locked: its owner, the manager,
 * serialises the calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define RECENT_READS_SLOTS 20
#define RECENT_READS_SLOT_NS (30 * NS_PER_S)
#define RECENT_READS_LAYERS 20000

struct recent_reads;

struct recent_read {
	double bytes_per_s, opens_per_s; /* in the last window */
	uint32_t kib[RECENT_READS_SLOTS]; /* read in each slot, rounded up; the oldest first */
};

struct recent_reads *recent_reads_new(int64_t now_ns); /* NULL: out of memory */
void recent_reads_free(struct recent_reads *t);
DEFINE_CLEANUP(struct recent_reads *, recent_reads_free)

/* Without memory, the layer is left out. */
void recent_reads_add(struct recent_reads *t, const char *layer, uint64_t opens, uint64_t bytes,
		      int64_t now_ns);
/* After a fold: rates are those between two of these calls, if they are not too close together. */
void recent_reads_close_window(struct recent_reads *t, int64_t now_ns);
/* Zeros, and false, for a layer that was not read. */
bool recent_reads_find(const struct recent_reads *t, const char *layer, int64_t now_ns,
		       struct recent_read *ret_read);
/* Of the whole store. */
void recent_reads_all(const struct recent_reads *t, int64_t now_ns, struct recent_read *ret_read);
size_t recent_reads_count(const struct recent_reads *t);
