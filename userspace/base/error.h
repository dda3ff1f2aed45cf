/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text behind a negative errno. It lives on the caller's stack in a fixed buffer, so that
 * reporting cannot fail. Whoever knows the fact writes the text; callers add what only they know.
 */
#pragma once

#include <stdarg.h>

struct error {
	int code; /* 0 or a negative errno */
	char text[1024];
};

/* Set code (a negative errno) and text; a NULL e is allowed. Both return code. */
int error_set(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int error_setv(struct error *e, int code, const char *format, va_list args);

/* Prefix the text with "format: " and return the code that is already there. */
int error_context(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
