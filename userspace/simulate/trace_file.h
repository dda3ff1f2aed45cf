/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened in a store, as JSON lines in the order of time:
 *   {"t":0,"id":"a","op":"create","size":1048576,"parent":"b","cost":40}  a record is made, or
 *                                                               asked for again
 *   {"t":1.5,"id":"a","op":"use"}                               its files are read
 * "t" is seconds from any start, or RFC 3339. A record's first line has its size, and its parent,
 * which has to be known. Where a record is older than the trace, that line may be a "use"; it
 * counts as its creation. "cost" is how many seconds it takes to make the record; a record
 * whose lines have none costs nothing but its bytes. Other members are ignored.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define TRACE_NO_PARENT SIZE_MAX

enum trace_operation { TRACE_CREATE, TRACE_ASK, TRACE_USE };

struct trace_event {
	int64_t time_ns;
	uint32_t record; /* index */
	enum trace_operation operation; /* of a record, the first one is TRACE_CREATE */
};

struct trace_record {
	char *id;
	int64_t size_bytes;
	size_t parent; /* index, or TRACE_NO_PARENT; smaller than its own */
	double cost_s; /* to make it; the last one that a line names */
};

struct trace {
	struct trace_event *events;
	size_t event_count, event_capacity;
	struct trace_record *records;
	size_t record_count, record_capacity;
};

/* "-" is standard input. -EINVAL names file and line. */
int trace_read(const char *path, struct trace *ret_trace, struct error *e);
void trace_free(struct trace *t); /* what it points to */
DEFINE_CLEANUP_VALUE(struct trace, trace_free)
