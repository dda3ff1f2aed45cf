/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything printed on standard output, and warnings: values for people and JSON lines here,
 * tables and trees in output_table.h. Failed writes and allocations are remembered, and reported
 * once at the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json_writer.h"
#include "base/units.h"
#include "cli/cli_options.h"

struct output {
	const char *columns; /* the value of -o, or NULL */
	const char *sort; /* the value of --sort, or NULL */
	bool iso_times; /* in tables */
	bool bytes, headings, truncate, color, utf8;
	bool failed; /* out of memory, or the table could not be printed */
};

/* Also looks at the terminal and the environment. */
struct output output_from_options(const struct cli_globals *g);
/* Flushes and closes standard output; the error of the first failed write, such as -EPIPE. */
int output_finish(struct output *o, struct error *e);
/* Flushes during long work, so that the work can end when the reader is gone. */
int output_flush(struct output *o, struct error *e);

/* Prints "name:  value"; with an empty name, another value of the field before. */
void output_field(struct output *o, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void output_text(struct output *o, const char *text); /* escaped, with a newline */
/* Prints "varve: TEXT" on standard error, escaped. */
void output_warn(const struct output *o, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Says below a table that its numbers may be too low. */
void output_lost(struct output *o, uint64_t lost);
const char *output_unknown(const struct output *o); /* a dash */
const char *output_size(const struct output *o, int64_t bytes, char buffer[UNITS_TEXT_MAX]);
/* "2024-05-01T10:00:00Z (2 days ago)" */
const char *output_time(const struct output *o, int64_t wall_ns, char buffer[2 * UNITS_TEXT_MAX]);

/* Prints what was written into the writer as a line, and empties it. */
void output_json_line(struct output *o, struct json_writer *w);
void output_json_time(struct json_writer *w, const char *key, int64_t wall_ns); /* 0: null */
void output_json_size(struct json_writer *w, const char *key, int64_t bytes); /* < 0: null */
