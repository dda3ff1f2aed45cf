/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/visible_text.h"

static enum log_level threshold = LOG_LEVEL_INFO;

static const struct {
	const char *prefix, *name;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "<3>", "error" },
	[LOG_LEVEL_WARNING] = { "<4>", "warning" },
	[LOG_LEVEL_INFO] = { "<6>", "info" },
	[LOG_LEVEL_DEBUG] = { "<7>", "debug" },
};

void log_set_level(enum log_level level)
{
	threshold = level;
}

/* Without memory for the escapes. */
static void replace_bytes(char *text)
{
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
	cleanup(strbuf_free) struct strbuf visible = { 0 };
	char text[2048];
	va_list args;

	if (level > threshold)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args); /* a cut line is still a line */
	va_end(args);
	visible_text_append(&visible, text, true); /* names in it come from outside */
	if (strbuf_failed(&visible))
		replace_bytes(text);
	fprintf(stderr, "%s%s %s\n", isatty(STDERR_FILENO) ? "" : levels[level].prefix,
		levels[level].name, strbuf_failed(&visible) || !visible.text ? text : visible.text);
}
