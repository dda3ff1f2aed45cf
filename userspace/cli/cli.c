/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>

#include "base/cleanup.h"
#include "base/json_writer.h"

int cli_usage(struct cli *c, struct error *e, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)error_setv(e, -EINVAL, format, args);
	va_end(args);
	c->exit = CLI_EXIT_USAGE;
	return error_context(e, "%s", c->line.verb->name);
}

int cli_flush(struct cli *c, struct error *e)
{
	int code = output_flush(&c->out, e);

	if (code < 0)
		c->exit = CLI_EXIT_FAILED;
	return code;
}

void cli_print_id(struct cli *c, const char *id)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	if (!c->line.globals.json) {
		output_text(&c->out, id);
		return;
	}
	json_open_object(&w, NULL);
	json_put_string(&w, "id", id);
	json_close_object(&w);
	output_json_line(&c->out, &w);
}
