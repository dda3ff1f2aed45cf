/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON text as a tree of values, parsed in place: texts are unescaped where they stand, and
 * the tree points to them. A tree is used again for the next text, without new allocations, which
 * is what makes large files quick to read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

enum json_kind {
	JSON_TREE_NULL,
	JSON_TREE_FALSE,
	JSON_TREE_TRUE,
	JSON_TREE_INTEGER,
	JSON_TREE_REAL,
	JSON_TREE_TEXT,
	JSON_TREE_ARRAY,
	JSON_TREE_OBJECT,
};

struct json_value {
	enum json_kind kind;
	uint32_t next; /* the next one in the same array or object; 0: this is the last */
	uint32_t first; /* of an array or object; 0: it is empty */
	uint32_t count; /* of an array or object */
	const char *key; /* in an object */
	const char *text;
	int64_t integer;
	double number; /* of JSON_TREE_INTEGER, too */
};

struct json_tree {
	struct json_value *values; /* the first one is the whole text */
	size_t count, capacity;
	/* After a failure: */
	size_t fault_at; /* byte, from 0 */
	const char *fault;
};

/* Parses the text, which must end with a NUL byte at text[length] and is changed. -EINVAL, with the
 * fault in the tree; -ENOMEM. */
int json_tree_parse(struct json_tree *t, char *text, size_t length);
void json_tree_free(struct json_tree *t); /* what it points to */
DEFINE_CLEANUP_VALUE(struct json_tree, json_tree_free)

/* NULL: there is no such member. Of several with the same key, the last one counts. */
const struct json_value *json_tree_find(const struct json_tree *t, const struct json_value *object,
					const char *key);
/* The first value of an array or object, and the one after it; NULL: there are no more. */
const struct json_value *json_tree_first(const struct json_tree *t, const struct json_value *v);
const struct json_value *json_tree_next(const struct json_tree *t, const struct json_value *v);
static inline bool json_value_is_number(const struct json_value *v)
{
	return v->kind == JSON_TREE_INTEGER || v->kind == JSON_TREE_REAL;
}
