/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files are in several layers: those of one size, compared by digest. A sample within a bound
 * on time and on bytes read, the largest layers and files first; what was not reached is said to be
 * missing. Reads of the agent are upkeep, and no uses of the layers.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "graph/record.h"

struct manager;

#define DUPLICATE_SAMPLE_LARGEST 10

struct duplicate_file {
	char *path; /* in one of the layers */
	char record[RECORD_ID_LENGTH + 1]; /* that has this layer; "" none is listed */
	int64_t size_bytes;
	uint64_t layers; /* that have it */
};

struct duplicate_sample {
	uint64_t layers,
		layers_walked; /* that cannot be written, and of these the ones looked at */
	uint64_t files; /* looked at, of 16 KiB and more */
	int64_t hashed_bytes;
	uint64_t duplicate_files; /* beyond the first of each */
	int64_t duplicate_bytes;
	bool complete; /* no bound was reached */
	struct duplicate_file largest[DUPLICATE_SAMPLE_LARGEST];
	size_t largest_count;
};

/* `cancelled` may be NULL. Without the lock. */
int duplicate_sample_take(struct manager *m, int64_t time_ns, int64_t bytes,
			  const atomic_bool *cancelled, struct duplicate_sample *ret_sample,
			  struct error *e);
void duplicate_sample_free(struct duplicate_sample *s); /* what it points to */
DEFINE_CLEANUP_VALUE(struct duplicate_sample, duplicate_sample_free)
