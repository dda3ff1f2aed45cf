/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of characters, as a regular expression names them: `[a-z]`, `[^[:space:]]`, `\d`. A failed
 * allocation is remembered and reported by regex_class_finish().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define REGEX_CHARACTER_MAX 0x10ffff

struct regex_range {
	uint32_t first, last;
};

struct regex_class {
	struct regex_range *ranges;
	size_t count, capacity;
	bool failed;
};

void regex_class_free(struct regex_class *c);
DEFINE_CLEANUP_VALUE(struct regex_class, regex_class_free)

void regex_class_add(struct regex_class *c, uint32_t first, uint32_t last);
void regex_class_add_all(struct regex_class *c, const struct regex_class *other);
/* Adds the other case of every letter in c, as (?i) asks for. False: c has characters beyond ASCII,
 * whose cases are not known here. */
bool regex_class_fold(struct regex_class *c);
/* Adds a set by its POSIX name, such as "alpha" of `length` bytes, or all characters outside it;
 * `fold` as (?i). False: there is no set of that name. */
bool regex_class_add_named(struct regex_class *c, const char *name, size_t length, bool negated,
			   bool fold);
/* Adds the set that `\d`, `\s`, `\w`, `\D`, `\S` or `\W` stands for; false: another letter. */
bool regex_class_add_escape(struct regex_class *c, char letter, bool fold);
void regex_class_negate(struct regex_class *c);
/* Sorts the ranges and joins those that touch. -ENOMEM when any step before ran out of memory. */
int regex_class_finish(struct regex_class *c);
/* In ranges that were finished. */
bool regex_class_has(const struct regex_range *ranges, size_t count, uint32_t character);
