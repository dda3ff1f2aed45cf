/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations, counted in buckets from 10 microseconds to 100 seconds, about three to a decade.
 * Threads add to it and read it without a lock.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 15

struct histogram {
	atomic_uint_fast64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last one: above all bounds */
	atomic_uint_fast64_t sum_ns;
};

/* The upper bound of the bucket with this index; grows with the index. */
int64_t histogram_bound_ns(size_t index);
/* A negative duration counts as 0. */
void histogram_add(struct histogram *h, int64_t duration_ns);

struct histogram_copy {
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
	uint64_t count; /* of all buckets */
	double sum_s;
};

/* `count` is the sum of the buckets, whatever is added meanwhile. */
void histogram_read(const struct histogram *h, struct histogram_copy *ret_copy);
