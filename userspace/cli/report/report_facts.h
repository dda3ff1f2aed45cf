/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is waste in a store, from what the agent knows: each layer counts once, however many records
 * have it. What may have been read without a count is never called never read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "varve.pb-c.h"

#define REPORT_CHANGES 3
#define REPORT_COLD_NS (30 * 24 * 3600 * INT64_C(1000000000))

struct report_amount {
	uint64_t layers;
	int64_t bytes;
};

struct report_image {
	char *name;
	int64_t bytes;
	int64_t last_read_ns;
};

struct report_policy {
	char *name, *problem; /* why it is not known, or NULL */
	uint64_t records;
	int64_t bytes;
};

struct report_change {
	char *what, *command; /* command: NULL where there is none */
	int64_t bytes;
};

struct report_facts {
	int64_t now_ns, older_than_ns;
	char *backend;
	uint64_t lost;
	struct report_amount all, unmeasured; /* bytes of the latter are not known */
	/* Layers that cannot be written. Of those older than older_than_ns: */
	struct report_amount never_read, cold, incomplete; /* incomplete: may have been read */
	struct report_image *images; /* of which one file was read */
	size_t image_count;
	char *images_problem; /* why some are missing, or NULL */
	Varve__V1__DuplicatesReply *duplicates; /* NULL: not known */
	char *duplicates_problem;
	struct report_policy *policies;
	size_t policy_count;
	/* In the last 30 days; records that were made again at a cost. */
	struct report_amount evicted, regretted;
	int64_t regretted_cost_ns;
	struct report_change *changes; /* the largest first, REPORT_CHANGES at most are shown */
	size_t change_count, change_capacity;
};

void report_facts_free(struct report_facts *f);
DEFINE_CLEANUP_VALUE(struct report_facts, report_facts_free)
