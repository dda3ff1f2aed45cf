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
	json_tree_free(&l->tree);
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

/* The next line that is not empty. 1: there is one; 0: end of file. */
static int next_line(struct json_lines *l, size_t *ret_length)
{
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
	*ret_length = (size_t)length;
	return 1;
}

int json_lines_next(struct json_lines *l)
{
	char quoted[QUOTED_MAX + 1];
	size_t length = 0;
	int code = next_line(l, &length);

	if (code <= 0)
		return code;
	memcpy(quoted, l->line, length < QUOTED_MAX ? length : QUOTED_MAX);
	quoted[length < QUOTED_MAX ? length : QUOTED_MAX] = '\0';
	code = json_tree_parse(&l->tree, l->line, length);
	if (code == -ENOMEM)
		return error_set(l->e, -ENOMEM, "no memory for %s", l->name);
	if (code < 0)
		return json_lines_fault(l, "invalid JSON at byte %zu: %s", l->tree.fault_at,
					l->tree.fault);
	l->object = l->tree.values;
	if (l->object->kind != JSON_TREE_OBJECT)
		return json_lines_fault(l, "not a JSON object: %s", quoted);
	return 1;
}

const struct json_value *json_lines_find(const struct json_lines *l, const char *key)
{
	const struct json_value *value = json_tree_find(&l->tree, l->object, key);

	return value && value->kind == JSON_TREE_NULL ? NULL : value;
}

int json_lines_text(const struct json_lines *l, const char *key, const char **ret_text)
{
	const struct json_value *value = json_lines_find(l, key);

	if (!value)
		return 0;
	if (value->kind != JSON_TREE_TEXT)
		return json_lines_fault(l, "\"%s\" is not a string", key);
	*ret_text = value->text;
	return 0;
}

int json_lines_bool(const struct json_lines *l, const char *key, bool *ret_bool)
{
	const struct json_value *value = json_lines_find(l, key);

	if (!value)
		return 0;
	if (value->kind != JSON_TREE_TRUE && value->kind != JSON_TREE_FALSE)
		return json_lines_fault(l, "\"%s\" is neither true nor false", key);
	*ret_bool = value->kind == JSON_TREE_TRUE;
	return 0;
}

int json_lines_count(const struct json_lines *l, const char *key, int64_t *ret_count)
{
	const struct json_value *value = json_lines_find(l, key);

	if (!value)
		return 0;
	if (value->kind != JSON_TREE_INTEGER || value->integer < 0)
		return json_lines_fault(l, "\"%s\" is not a whole number of 0 or more", key);
	*ret_count = value->integer;
	return 0;
}

int json_lines_seconds(const struct json_lines *l, const char *key, double *ret_seconds)
{
	const struct json_value *value = json_lines_find(l, key);

	if (!value)
		return 0;
	if (!json_value_is_number(value) ||
	    !(value->number >= 0 && value->number <= JSON_LINES_MAX_SECONDS))
		return json_lines_fault(l, "\"%s\" is not a number of seconds from 0 to %g", key,
					JSON_LINES_MAX_SECONDS);
	*ret_seconds = value->number;
	return 0;
}

int json_lines_positive(const struct json_lines *l, const char *key, double *ret_number)
{
	const struct json_value *value = json_lines_find(l, key);

	if (!value)
		return 0;
	if (!json_value_is_number(value) || !(value->number > 0))
		return json_lines_fault(l, "\"%s\" is not a positive number", key);
	*ret_number = value->number;
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
