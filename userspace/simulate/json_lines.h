/* SPDX-License-Identifier: Apache-2.0 */
/* A file of JSON objects, one on a line; empty lines do not count. Faults name file and line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "simulate/json_tree.h"

#define JSON_LINES_MAX_SECONDS 9e9 /* centuries, and well within 64 bits of nanoseconds */

struct json_lines {
	const char *name; /* borrowed */
	FILE *file;
	char *line;
	size_t size;
	size_t number; /* of the line that was read last, from 1 */
	struct json_tree tree; /* of that line */
	const struct json_value *object; /* that the members are read from: the whole line */
	struct error *e; /* where faults are reported */
};

/* "-" is standard input. Borrows path and e. */
int json_lines_open(struct json_lines *l, const char *path, struct error *e);
void json_lines_close(struct json_lines *l);
DEFINE_CLEANUP_VALUE(struct json_lines, json_lines_close)

/* Reads the next object. 1: there is one; 0: end of file; -EINVAL: the line is not an object. */
int json_lines_next(struct json_lines *l);
/* Reports "name:line: …"; returns -EINVAL. */
int json_lines_fault(const struct json_lines *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Members of the object. One that is absent or null leaves the result as it is; one of another kind
 * is a fault, as is a number below 0. Texts are the line's.
 */
const struct json_value *json_lines_find(const struct json_lines *l, const char *key);
int json_lines_text(const struct json_lines *l, const char *key, const char **ret_text);
int json_lines_bool(const struct json_lines *l, const char *key, bool *ret_bool);
int json_lines_count(const struct json_lines *l, const char *key, int64_t *ret_count);
int json_lines_seconds(const struct json_lines *l, const char *key, double *ret_seconds);
/* Any positive number. */
int json_lines_positive(const struct json_lines *l, const char *key, double *ret_number);
/* RFC 3339. */
int json_lines_time(const struct json_lines *l, const char *key, int64_t *ret_wall_ns);
