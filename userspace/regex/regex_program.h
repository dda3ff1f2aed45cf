/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiled regular expression: the steps of a nondeterministic automaton. Jumps are distances, so
 * that any run of steps without jumps out of it can be copied, which is how `x{3}` is made.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "regex/regex_class.h"

/* Of one expression. Bounds the memory it takes and, times the length of a text, the time. */
#define REGEX_STEPS_MAX 2048

enum regex_operation {
	REGEX_CHARACTER, /* consumes `value`, goes on to the next step */
	REGEX_CLASS, /* consumes one of `count` ranges from `value` on, goes on to the next step */
	REGEX_ASSERTION, /* goes on to the next step where the assertion `value` holds */
	REGEX_FORK, /* goes on to the next step and to the one `distance` away */
	REGEX_JUMP, /* goes on to the step `distance` away */
	REGEX_MATCH, /* the last step, and only that */
};

enum regex_assertion {
	REGEX_TEXT_BEGIN,
	REGEX_TEXT_END,
	REGEX_LINE_BEGIN,
	REGEX_LINE_END,
	REGEX_WORD_BOUNDARY,
	REGEX_NO_WORD_BOUNDARY,
};

struct regex_step {
	enum regex_operation operation;
	int32_t distance;
	uint32_t value, count;
};

struct regex_program {
	struct regex_step *steps;
	size_t count, capacity;
	struct regex_range *ranges; /* of all classes */
	size_t range_count, range_capacity;
};

void regex_program_free(struct regex_program *p);
DEFINE_CLEANUP(struct regex_program *, regex_program_free)

/* These return -E2BIG when there would be more than REGEX_STEPS_MAX steps, and -ENOMEM. */
int regex_program_append(struct regex_program *p, struct regex_step step);
/* Puts a step before the one at `at`. No jump may cross that place. */
int regex_program_insert(struct regex_program *p, size_t at, struct regex_step step);
/* Appends a step that consumes a character of the class, which must be finished. */
int regex_program_append_class(struct regex_program *p, const struct regex_class *c);
/* The steps from `start` to the end, `least` to `most` times; most < 0: any number of times. */
int regex_program_repeat(struct regex_program *p, size_t start, int least, int most);
