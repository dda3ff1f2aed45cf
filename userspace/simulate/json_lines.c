/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/json_lines.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>

#include "base/units.h"

#define QUOTED_MAX 60 /* bytes of the faulty text that a message quotes */

int json_lines_open(struct json_lines *l, const char *path, struct error *e)
{
	bool standard = strcmp(path, "-") == 0;

	*l = (struct json_lines){ .name = standard ? "standard input" : path, .e = e };
	l->file = standard ? stdin : fopen(path, "re");
	if (!l->file)
		return error_set(e, -errno, "open %s: %s", path, strerror(errno));
	return 0;
}

void json_lines_close(struct json_lines *l)
{
	json_decref(l->object);
	free(l->line);
	if (l->file && l->file != stdin)
		(void)fclose(l->file); /* nothing was written to it */
	*l = (struct json_lines){ .file = NULL };
}

int json_lines_fault(const struct json_lines *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)error_setv(l->e, -EINVAL, format, args);
	va_end(args);
	return error_context(l->e, "%s:%zu", l->name, l->number);
}

int json_lines_next(struct json_lines *l)
{
	json_error_t fault;
	ssize_t length;

	do {
		errno = 0;
		length = getline(&l->line, &l->size, l->file);
		if (length < 0 && errno != 0)
			return error_set(l->e, -errno, "read %s: %s", l->name, strerror(errno));
		if (length < 0)
			return 0;
		l->number++;
	} while (l->line[strspn(l->line, " \t\r\n")] == '\0' && strlen(l->line) == (size_t)length);

	json_decref(l->object);
	l->object = json_loadb(l->line, (size_t)length, 0, &fault);
	if (!l->object)
		return json_lines_fault(l, "invalid JSON at byte %d: %s", fault.position,
					fault.text);
	if (!json_is_object(l->object))
		return json_lines_fault(l, "not a JSON object: %.*s", QUOTED_MAX, l->line);
	return 1;
}

/* NULL when the member is absent or null. */
static const json_t *find(const struct json_lines *l, const char *key)
{
	const json_t *value = json_object_get(l->object, key);

	return json_is_null(value) ? NULL : value;
}

int json_lines_text(const struct json_lines *l, const char *key, const char **ret_text)
{
	const json_t *value = find(l, key);

	if (!value)
		return 0;
	if (!json_is_string(value))
		return json_lines_fault(l, "\"%s\" is not a string", key);
	*ret_text = json_string_value(value);
	return 0;
}

int json_lines_bool(const struct json_lines *l, const char *key, bool *ret_bool)
{
	const json_t *value = find(l, key);

	if (!value)
		return 0;
	if (!json_is_boolean(value))
		return json_lines_fault(l, "\"%s\" is neither true nor false", key);
	*ret_bool = json_is_true(value);
	return 0;
}

int json_lines_count(const struct json_lines *l, const char *key, int64_t *ret_count)
{
	const json_t *value = find(l, key);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return json_lines_fault(l, "\"%s\" is not a whole number of 0 or more", key);
	*ret_count = json_integer_value(value);
	return 0;
}

int json_lines_seconds(const struct json_lines *l, const char *key, double *ret_seconds)
{
	const json_t *value = find(l, key);

	if (!value)
		return 0;
	if (!json_is_number(value) ||
	    !(json_number_value(value) >= 0 && json_number_value(value) <= JSON_LINES_MAX_SECONDS))
		return json_lines_fault(l, "\"%s\" is not a number of seconds from 0 to %g", key,
					JSON_LINES_MAX_SECONDS);
	*ret_seconds = json_number_value(value);
	return 0;
}

int json_lines_positive(const struct json_lines *l, const char *key, double *ret_number)
{
	const json_t *value = find(l, key);

	if (!value)
		return 0;
	if (!json_is_number(value) || !(json_number_value(value) > 0))
		return json_lines_fault(l, "\"%s\" is not a positive number", key);
	*ret_number = json_number_value(value);
	return 0;
}

int json_lines_time(const struct json_lines *l, const char *key, int64_t *ret_wall_ns)
{
	const char *text = NULL;
	int code = json_lines_text(l, key, &text);

	if (code < 0 || !text)
		return code;
	if (units_parse_time(text, ret_wall_ns) < 0)
		return json_lines_fault(
			l,
			"\"%s\" is not a time such as 2024-05-01T10:00:00Z, or lies before 1970: %.*s",
			key, QUOTED_MAX, text);
	return 0;
}
