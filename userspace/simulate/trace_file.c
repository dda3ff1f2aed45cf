/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/trace_file.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/vec.h"
#include "simulate/json_lines.h"

#define MAX_RECORDS (UINT32_MAX / 4)

/* An id and where its record is; records move while the trace grows. */
struct known {
	char *id;
	size_t record;
	size_t line;
};

struct reading {
	struct trace trace;
	struct json_lines lines;
	struct hashmap *known;
	int64_t last_ns, bytes;
};

void trace_free(struct trace *t)
{
	for (size_t i = 0; i < t->record_count; i++)
		free(t->records[i].id);
	free(t->records);
	free(t->events);
	*t = (struct trace){ .events = NULL };
}

static void reading_free(struct reading *r)
{
	struct known *known;
	size_t at = 0;

	while (r->known && (known = hashmap_next(r->known, &at)))
		free(known);
	hashmap_free(r->known);
	json_lines_close(&r->lines);
	trace_free(&r->trace);
}
DEFINE_CLEANUP_VALUE(struct reading, reading_free)

static int no_memory(const struct reading *r)
{
	return error_set(r->lines.e, -ENOMEM, "no memory for %s", r->lines.name);
}

static int add_record(struct reading *r, const char *id, int64_t size_bytes, size_t parent,
		      size_t *ret_record)
{
	struct trace *t = &r->trace;
	struct trace_record *records;
	struct known *known;

	if (t->record_count == MAX_RECORDS)
		return json_lines_fault(&r->lines, "more than %u records", MAX_RECORDS);
	if (__builtin_add_overflow(r->bytes, size_bytes, &r->bytes))
		return json_lines_fault(&r->lines, "all sizes together exceed 2^63 bytes");
	records =
		vec_reserve(t->records, &t->record_capacity, t->record_count + 1, sizeof(*records));
	if (!records)
		return no_memory(r);
	t->records = records;
	known = malloc(sizeof(*known));
	if (!known)
		return no_memory(r);
	*known = (struct known){ .id = strdup(id),
				 .record = t->record_count,
				 .line = r->lines.number };
	if (!known->id || hashmap_insert(r->known, known->id, known) < 0) {
		free(known->id);
		free(known);
		return no_memory(r);
	}
	t->records[t->record_count] = (struct trace_record){ .id = known->id,
							     .size_bytes = size_bytes,
							     .parent = parent };
	*ret_record = t->record_count++;
	return 0;
}

static int add_event(struct reading *r, int64_t time_ns, size_t record,
		     enum trace_operation operation)
{
	struct trace *t = &r->trace;
	struct trace_event *events =
		vec_reserve(t->events, &t->event_capacity, t->event_count + 1, sizeof(*events));

	if (!events)
		return no_memory(r);
	t->events = events;
	t->events[t->event_count++] = (struct trace_event){ .time_ns = time_ns,
							    .record = (uint32_t)record,
							    .operation = operation };
	return 0;
}

/* ---- a line ---- */

static int read_time(struct reading *r, int64_t *ret_ns)
{
	const struct json_value *value = json_tree_find(&r->lines.tree, r->lines.object, "t");
	int64_t ns;

	if (value && value->kind == JSON_TREE_TEXT) {
		int code = json_lines_time(&r->lines, "t", &ns);
		if (code < 0)
			return code;
	} else {
		double seconds = value && json_value_is_number(value) ? value->number : -1;

		if (!(seconds >= 0 && seconds <= JSON_LINES_MAX_SECONDS))
			return json_lines_fault(&r->lines,
						"\"t\" is neither seconds from 0 on nor a time");
		ns = llround(seconds * NS_PER_S);
	}
	if (ns < r->last_ns)
		return json_lines_fault(&r->lines, "\"t\" is before that of the line before");
	*ret_ns = r->last_ns = ns;
	return 0;
}

static int read_parent(const struct reading *r, size_t *ret_parent)
{
	const struct known *known;
	const char *parent = NULL;
	int code = json_lines_text(&r->lines, "parent", &parent);

	*ret_parent = TRACE_NO_PARENT;
	if (code < 0 || !parent)
		return code;
	known = hashmap_find(r->known, parent);
	if (!known)
		return json_lines_fault(&r->lines, "the parent '%s' was never created", parent);
	*ret_parent = known->record;
	return 0;
}

/* A line of a record that is known may repeat what was said of it, and may not contradict it. */
static int check_known(const struct reading *r, const struct known *known, int64_t size_bytes,
		       size_t parent)
{
	const struct trace_record *record = &r->trace.records[known->record];

	if (size_bytes >= 0 && size_bytes != record->size_bytes)
		return json_lines_fault(&r->lines,
					"the size of '%s' differs from the one on line %zu",
					known->id, known->line);
	if (parent != TRACE_NO_PARENT && parent != record->parent)
		return json_lines_fault(&r->lines,
					"the parent of '%s' differs from the one on line %zu",
					known->id, known->line);
	return 0;
}

static int read_operation(const struct reading *r, enum trace_operation *ret_operation)
{
	const char *text = "";
	int code = json_lines_text(&r->lines, "op", &text);

	if (code < 0)
		return code;
	if (strcmp(text, "create") == 0)
		*ret_operation = TRACE_ASK;
	else if (strcmp(text, "use") == 0)
		*ret_operation = TRACE_USE;
	else
		return json_lines_fault(&r->lines, "\"op\" is neither \"create\" nor \"use\"");
	return 0;
}

static int read_event(struct reading *r)
{
	enum trace_operation operation = TRACE_USE;
	size_t record = 0, parent = TRACE_NO_PARENT;
	int64_t time_ns = 0, size_bytes = -1;
	const struct known *known;
	double cost_s = -1;
	const char *id = "";
	int code;

	if (json_lines_text(&r->lines, "id", &id) < 0)
		return -EINVAL;
	if (!*id)
		return json_lines_fault(&r->lines, "the event has no \"id\"");
	if (read_operation(r, &operation) < 0 || read_time(r, &time_ns) < 0 ||
	    json_lines_count(&r->lines, "size", &size_bytes) < 0 ||
	    json_lines_seconds(&r->lines, "cost", &cost_s) < 0 || read_parent(r, &parent) < 0)
		return -EINVAL; /* the fault is reported */

	known = hashmap_find(r->known, id);
	if (known) {
		code = check_known(r, known, size_bytes, parent);
		if (code < 0)
			return code;
		if (cost_s >= 0)
			r->trace.records[known->record].cost_s = cost_s;
		return add_event(r, time_ns, known->record, operation);
	}
	if (size_bytes < 0)
		return json_lines_fault(&r->lines, "the first event of '%s' has no \"size\"", id);
	code = add_record(r, id, size_bytes, parent, &record);
	if (code < 0)
		return code;
	r->trace.records[record].cost_s = fmax(cost_s, 0);
	return add_event(r, time_ns, record, TRACE_CREATE);
}

int trace_read(const char *path, struct trace *ret_trace, struct error *e)
{
	cleanup(reading_free) struct reading r = { .known = hashmap_new() };
	int code;

	if (!r.known)
		return error_set(e, -ENOMEM, "no memory for %s", path);
	code = json_lines_open(&r.lines, path, e);
	if (code < 0)
		return code;
	while ((code = json_lines_next(&r.lines)) > 0) {
		code = read_event(&r);
		if (code < 0)
			return code;
	}
	if (code < 0)
		return code;
	*ret_trace = r.trace;
	r.trace = (struct trace){ .events = NULL };
	return 0;
}
