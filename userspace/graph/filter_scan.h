/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a filter: names, operators, plain and quoted values, as containerd's scanner cuts
 * them. Errors quote the filter and the position of the fault.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct filter_scan {
	const char *text; /* borrowed */
	size_t length;
	size_t at; /* of the next byte */
};

/* "filter '<text>': <message> at position N", counted from 1; long filters are cut. -EINVAL. */
int filter_scan_fault(const struct filter_scan *s, size_t at, struct error *e, const char *format,
		      ...) __attribute__((format(printf, 4, 5)));

char filter_scan_peek(const struct filter_scan *s); /* NUL at the end */
void filter_scan_space(struct filter_scan *s);
/* A name is letters, digits, '-' and '_'; or it is quoted with '"'. The caller frees it. */
int filter_scan_name(struct filter_scan *s, char **ret_name, struct error *e);
/* The operator's characters, "" when there is none; at most size - 1 of them. */
void filter_scan_operator(struct filter_scan *s, char *ret_operator, size_t size);
/* Up to the next comma or space; or quoted with '"' and, where other_quotes, with '/' or '|'. */
int filter_scan_value(struct filter_scan *s, bool other_quotes, char **ret_value, struct error *e);
