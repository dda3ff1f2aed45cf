/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's filter grammar: `selector[,selector…]` where a selector is `field`, `field==value`,
 * `field!=value` or `field~=regex`, a field is a dotted path whose parts may be quoted
 * (`labels."a.b"`) and a value may be quoted, a regex also with / or |. Commas mean and; several
 * filters mean or. Beyond containerd: `<`, `<=`, `>`, `>=` on fields that are numbers. Pure: knows
 * no record, asks for fields through a callback.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct record_filter;

/* Gives the text of a field: NULL when it is absent. `path` holds `parts` parts. The text may lie
 * in `buffer`. */
typedef const char *(*record_filter_field)(const char *const *path, size_t parts, char *buffer,
					   size_t buffer_size, void *user);

/*
 * No filter at all matches everything, and so does an empty one. An absent field is different from
 * every value but "", and a regex sees it as "". The value of `<` and its like is a number, a size
 * ("10MB": bytes) or a duration ("3h": nanoseconds; "3m" is minutes, "3M" a size); the field's text
 * has to be a decimal number in the same unit, else there is no match.
 * -EINVAL quotes the filter and the place of the error. -E2BIG: more than 64 KiB of filters.
 */
int record_filter_parse(const char *const *filters, size_t count, struct record_filter **ret_filter,
			struct error *e);
/* Whether a match takes so little time that it may be made with a lock held: few comparisons, and
 * none with a regular expression. Others are for copies of records. */
bool record_filter_is_cheap(const struct record_filter *f);
bool record_filter_match(const struct record_filter *f, record_filter_field field, void *user);
void record_filter_free(struct record_filter *f);
DEFINE_CLEANUP(struct record_filter *, record_filter_free)
