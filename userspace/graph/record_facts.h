/* SPDX-License-Identifier: Apache-2.0 */
/* What filters and rules may ask about a record, wherever it comes from. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "graph/record.h"
#include "graph/record_filter.h"

/* Everything is borrowed, except in a copy. Texts are not NULL but for the parent; times as in
 * record.h. */
struct record_facts {
	const char *id, *parent, *description, *type;
	const struct record_label *labels;
	size_t label_count;
	bool in_use, is_mutable, shared, pinned, retain;
	int64_t size_bytes; /* -1: not measured */
	int64_t created_ns, last_used_ns, last_read_ns;
	uint64_t usage_count, opens;
};

/* A copy that owns what it points to. -ENOMEM. */
int record_facts_copy(const struct record_facts *facts, struct record_facts *ret_copy);
void record_facts_free(struct record_facts *copy); /* what it points to */
DEFINE_CLEANUP_VALUE(struct record_facts, record_facts_free)

/* The fields are those of a record's JSON in lower case, and `age`, `lastused` and `lastread` as
 * nanoseconds before now. A field of something that never was is absent. */
bool record_facts_match(const struct record_facts *facts, const struct record_filter *f,
			int64_t now_ns);
