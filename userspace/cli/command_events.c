/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/cli_call.h"
#include "cli/cli_since.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

/* While the agent is away, it is asked for so often. */
#define RETRY_NS (NS_PER_S / 2)

enum option { OPTION_FOLLOW, OPTION_SINCE, OPTION_END };

static const struct cli_option options[] = {
	[OPTION_FOLLOW] = { 'f', "follow", NULL, "go on with what happens from now on" },
	[OPTION_SINCE] = { 0, "since", "TIME",
			   "only what happened after this time, or for so long (10m)" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

struct events {
	struct cli *c;
	Varve__V1__EventsRequest request;
	const char *id; /* only events of this record, or of those with this prefix; NULL: all */
	bool away; /* the agent is, and the user knows */
	bool connected; /* it has answered once */
};

static void print_json(struct output *o, const Varve__V1__Event *event)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_uint(&w, "seq", event->seq);
	output_json_time(&w, "time", event->time_ns);
	json_put_string(&w, "event", event->event);
	json_put_string(&w, "record", *event->record ? event->record : NULL);
	json_put_string(&w, "layer", *event->layer ? event->layer : NULL);
	output_json_size(&w, "size", event->size);
	json_put_string(&w, "by", *event->by ? event->by : NULL);
	json_put_string(&w, "plan", *event->plan ? event->plan : NULL);
	json_put_string(&w, "detail", *event->detail ? event->detail : NULL);
	json_close_object(&w);
	output_json_line(o, &w);
}

/* To milliseconds, all of the same width. */
static const char *format_time(int64_t wall_ns, char text[UNITS_TEXT_MAX])
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm parts;
	size_t used;

	if (!gmtime_r(&seconds, &parts))
		return "?";
	used = strftime(text, UNITS_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(text + used, UNITS_TEXT_MAX - used, ".%03dZ",
		       (int)(wall_ns % NS_PER_S / 1000000));
	return text;
}

/* A table would have to wait for the last event. */
static void print_line(struct output *o, const Varve__V1__Event *event)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	char time_text[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX] = "";
	int id_length = o->truncate ? 12 : 25;

	if (event->size >= 0)
		(void)output_size(o, event->size, size);
	strbuf_appendf(&line, "%s  %-12s  %-*.*s  %10s", format_time(event->time_ns, time_text),
		       event->event, id_length, id_length,
		       *event->record ? event->record : output_unknown(o),
		       event->size >= 0 ? size : "");
	if (*event->by)
		strbuf_appendf(&line, "  %s", event->by);
	if (*event->plan)
		strbuf_appendf(&line, "  plan %s", event->plan);
	if (*event->detail)
		strbuf_appendf(&line, "  %s", event->detail);
	while (line.length > 0 && line.text[line.length - 1] == ' ')
		line.text[--line.length] = '\0';
	if (strbuf_failed(&line))
		o->failed = true;
	else
		output_text(o, line.text);
}

static void print_event(struct events *ev, const Varve__V1__Event *event)
{
	struct output *o = &ev->c->out;

	if (ev->id && strncmp(event->record, ev->id, strlen(ev->id)) != 0)
		return;
	if (ev->c->line.globals.json)
		print_json(o, event);
	else if (!ev->c->line.globals.quiet)
		print_line(o, event);
	else if (*event->record)
		output_text(o, event->record);
}

static int print_batch(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__EventBatch *batch = (const Varve__V1__EventBatch *)reply;
	struct events *ev = user;

	if (ev->away)
		output_warn(&ev->c->out, "the agent is back");
	ev->away = false;
	ev->connected = true;
	if (batch->missed > 0)
		output_warn(&ev->c->out,
			    "%" PRIu64 " events are missing: the agent keeps the last 2048",
			    batch->missed);
	if (batch->instance_ns != ev->request.instance_ns)
		ev->request.after_seq = 0;
	ev->request.instance_ns = batch->instance_ns;
	for (size_t i = 0; i < batch->n_events; i++) {
		ev->request.after_seq = batch->events[i]->seq;
		print_event(ev, batch->events[i]);
	}
	return cli_flush(ev->c, e);
}

static int read_options(struct events *ev, struct error *e)
{
	struct cli *c = ev->c;

	for (size_t i = 0; i < c->line.given_count; i++) {
		const struct cli_given *given = &c->line.given[i];

		if (given->option == OPTION_FOLLOW)
			ev->request.follow = true;
		else if (cli_since_parse(c, given->value, &ev->request.since_ns, e) < 0)
			return e->code;
	}
	ev->id = c->line.word_count > 0 ? c->line.words[0] : NULL;
	return 0;
}

/* Whether it is the agent that is gone, and not this command that has failed. */
static bool is_away(const struct cli *c, int code)
{
	return c->exit == CLI_EXIT_UNREACHABLE || code == 0 || code == -ECONNRESET ||
	       code == -ECANCELED || code == -EPIPE || code == -EAGAIN;
}

static void wait_for_agent(struct events *ev, const struct error *e)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };

	if (!ev->away)
		output_warn(&ev->c->out, "the agent is gone%s%s; waiting for it",
			    *e->text ? ": " : "", e->text);
	ev->away = true;
	ev->c->exit = CLI_EXIT_DONE;
	grpc_client_free(ev->c->client);
	ev->c->client = NULL;
	(void)nanosleep(&pause, NULL); /* if a signal cuts it short, the agent is asked sooner */
}

static int run(struct cli *c, struct error *e)
{
	struct events ev = { .c = c, .request = VARVE__V1__EVENTS_REQUEST__INIT };
	int code = read_options(&ev, e);

	if (code < 0)
		return code;
	for (;;) {
		*e = (struct error){ 0 };
		code = cli_call_each(c, "Events", &ev.request.base,
				     &varve__v1__event_batch__descriptor, print_batch, &ev, e);
		if (!ev.request.follow || !ev.connected || !is_away(c, code) || ferror(stdout))
			return code;
		/* The next agent is asked for what this one has not told. */
		ev.request.since_ns = 0;
		wait_for_agent(&ev, e);
	}
}

const struct cli_verb command_events = {
	.name = "events",
	.arguments = "[ID]",
	.summary = "show what happens to records, as it happens",
	.details =
		"Lists the last events that the agent has in memory (2048 at most): created,\n"
		"committed, mounted, first-read, evicted, removed, regretted, fetched,\n"
		"fetch-failed, lost, low-space, owner-lost and owner-back. With -f, waits for more,\n"
		"also while the agent is restarted. ID, or the beginning of one, shows only the\n"
		"events of that record.\n"
		"\n"
		"Example: varve events -f --json | jq -r 'select(.event == \"evicted\").record'",
	.max_words = 1,
	.options = options,
	.run = run,
};
