/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "base/visible_text.h"

#define FIELD_WIDTH 16

static bool wants_color(enum cli_color color)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	if (color != CLI_COLOR_AUTO)
		return color == CLI_COLOR_ALWAYS;
	if (no_color && *no_color)
		return false;
	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

struct output output_from_options(const struct cli_globals *g)
{
	return (struct output){
		.columns = g->columns,
		.sort = g->sort,
		.iso_times = g->iso_times,
		.bytes = g->bytes,
		.headings = !g->no_headings,
		.truncate = !g->no_truncation,
		.color = wants_color(g->color),
		.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
	};
}

int output_flush(struct output *o, struct error *e)
{
	if (fflush(stdout) == EOF)
		return error_set(e, -errno, "write to standard output: %s", strerror(errno));
	if (ferror(stdout)) /* an earlier write failed, and its errno is gone */
		return error_set(e, -EIO, "write to standard output failed");
	if (o->failed)
		return error_set(e, -ENOMEM, "out of memory while printing");
	return 0;
}

int output_finish(struct output *o, struct error *e)
{
	int code = output_flush(o, e);

	/* Some file systems report a full disk only when the file is closed. */
	if (fclose(stdout) == EOF && code == 0)
		return error_set(e, -errno, "write to standard output: %s", strerror(errno));
	return code;
}

const char *output_unknown(const struct output *o)
{
	return o->utf8 ? "\xe2\x80\x93" : "-";
}

const char *output_size(const struct output *o, int64_t bytes, char buffer[UNITS_TEXT_MAX])
{
	if (bytes < 0)
		return output_unknown(o);
	if (!o->bytes)
		return units_format_size(bytes, buffer);
	(void)snprintf(buffer, UNITS_TEXT_MAX, "%" PRId64, bytes);
	return buffer;
}

const char *output_time(const struct output *o, int64_t wall_ns, char buffer[2 * UNITS_TEXT_MAX])
{
	char time[UNITS_TEXT_MAX], age[UNITS_TEXT_MAX];

	if (wall_ns == 0)
		return output_unknown(o);
	/* People do not need the nanoseconds. */
	(void)snprintf(buffer, 2 * UNITS_TEXT_MAX, "%s (%s)",
		       units_format_time(wall_ns - wall_ns % NS_PER_S, time),
		       units_format_age(wall_ns, clock_wall_ns(), age));
	return buffer;
}

/* The caller frees it; NULL: no memory. */
static char *format_text(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static char *format_text(const char *format, va_list args)
{
	char *text;

	return vasprintf(&text, format, args) < 0 ? NULL : text;
}

void output_warn(const struct output *o, const char *format, ...)
{
	cleanup(strbuf_free) struct strbuf visible = { 0 };
	cleanup(free_ptr) char *text = NULL;
	va_list args;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	visible_text_append(&visible, text ? text : "out of memory", o->utf8);
	(void)fprintf(stderr, "varve: %s\n",
		      strbuf_failed(&visible) ? "out of memory" : visible.text);
}

void output_text(struct output *o, const char *text)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };

	visible_text_append(&line, text, o->utf8);
	strbuf_append(&line, "\n");
	if (strbuf_failed(&line))
		o->failed = true;
	else
		(void)fputs(line.text, stdout); /* output_flush() checks stdout */
}

void output_lost(struct output *o, uint64_t lost)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "%" PRIu64
		       " accesses could not be counted because a map was full; the numbers "
		       "above may be too low",
		       lost);
	output_text(o, text);
}

void output_field(struct output *o, const char *name, const char *format, ...)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	cleanup(free_ptr) char *value = NULL;
	va_list args;

	va_start(args, format);
	value = format_text(format, args);
	va_end(args);
	if (!value) {
		o->failed = true;
		return;
	}
	strbuf_appendf(&line, "%s%s", name, *name ? ":" : "");
	while (line.length < FIELD_WIDTH && !strbuf_failed(&line))
		strbuf_append(&line, " ");
	strbuf_append(&line, value);
	if (strbuf_failed(&line))
		o->failed = true;
	else
		output_text(o, line.text);
}

void output_json_line(struct output *o, struct json_writer *w)
{
	cleanup(strbuf_free) struct strbuf visible = { 0 };
	struct strbuf *line = w->out;

	/* JSON requires fewer escapes than a terminal does. */
	if (!strbuf_failed(line) && utf8_ascii_length(line->text, line->length) < line->length) {
		visible_text_append_json(&visible, line->text);
		line = &visible;
	}
	strbuf_append(line, "\n");
	if (strbuf_failed(line))
		o->failed = true;
	else
		(void)fputs(line->text, stdout); /* output_flush() checks stdout */
	strbuf_reset(w->out);
	w->comma = false;
}

void output_json_time(struct json_writer *w, const char *key, int64_t wall_ns)
{
	char buffer[UNITS_TEXT_MAX];

	json_put_string(w, key, wall_ns == 0 ? NULL : units_format_time(wall_ns, buffer));
}

void output_json_size(struct json_writer *w, const char *key, int64_t bytes)
{
	if (bytes < 0)
		json_put_null(w, key);
	else
		json_put_int(w, key, bytes);
}
