/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int error_setv(struct error *e, int code, const char *format, va_list args)
{
	if (!e)
		return code;
	e->code = code;
	(void)vsnprintf(e->text, sizeof(e->text), format, args); /* a cut text is still a text */
	return code;
}

int error_set(struct error *e, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_setv(e, code, format, args);
	va_end(args);
	return code;
}

int error_context(struct error *e, const char *format, ...)
{
	struct error inner;
	va_list args;
	size_t used;

	if (!e)
		return -EINVAL;
	inner = *e;
	va_start(args, format);
	error_setv(e, inner.code, format, args);
	va_end(args);

	used = strlen(e->text);
	(void)snprintf(e->text + used, sizeof(e->text) - used, ": %.*s", /* cut is good enough */
		       (int)(sizeof(e->text) - used), inner.text);
	return e->code;
}
