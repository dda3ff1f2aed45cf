/* SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "web/metrics.h"
#include "web/negotiation.h"
#include "web/pages.h"

struct web {
	struct web_options options;
	struct metrics *metrics;
	struct http_server *server;
};

static void reply_text(struct http_reply *reply, unsigned status, const char *text)
{
	*reply = (struct http_reply){ .status = status,
				      .type = "text/plain; charset=utf-8",
				      .text = text,
				      .length = strlen(text) };
}

static void show_metrics(struct web *w, const struct http_request *request,
			 struct http_reply *reply)
{
	bool open_metrics = negotiation_wants_open_metrics(request->accept);
	struct error e = { 0 };

	*reply = (struct http_reply){
		.status = 200,
		.type = open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
				     : "text/plain; version=0.0.4; charset=utf-8",
	};
	if (metrics_render(w->metrics, open_metrics, &reply->text, &reply->length, &e) < 0)
		reply_text(reply, 503, "the agent is out of memory\n");
}

static void handle(const struct http_request *request, struct http_reply *reply, void *user)
{
	struct web *w = user;

	if (w->options.sockets[request->socket].has_pages)
		pages_show(&w->options.sources, request, reply);
	else if (strcmp(request->path, "/metrics") == 0)
		show_metrics(w, request, reply);
	else
		reply_text(reply, 404, "not found; metrics are at /metrics\n");
}

int web_start(const struct web_options *options, struct web **ret_web, struct error *e)
{
	cleanup(web_stop) struct web *w = calloc(1, sizeof(*w));
	struct http_server_options server = { .socket_count = options->socket_count,
					      .handler = { handle, pages_take_long, w } };
	int code;

	for (size_t i = 0; i < options->socket_count; i++)
		server.sockets[i] =
			(struct http_socket){ .fd = options->sockets[i].fd,
					      .is_local = options->sockets[i].is_local,
					      .is_slow = options->sockets[i].has_pages };
	if (w) {
		w->options = *options;
		w->metrics = metrics_new(options->sources.manager, options->calls);
	}
	if (!w || !w->metrics) {
		for (size_t i = 0; i < options->socket_count; i++)
			(void)close(options->sockets[i].fd); /* nothing was written */
		return error_set(e, -ENOMEM, "out of memory");
	}
	code = http_server_start(&server, &w->server, e);
	if (code == 0)
		*ret_web = take_ptr(w);
	return code;
}

void web_stop(struct web *w)
{
	if (w->server)
		http_server_stop(w->server);
	if (w->metrics)
		metrics_free(w->metrics);
	free(w);
}
