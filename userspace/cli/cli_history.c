/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_history.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/hashmap.h"
#include "cli/cli_call.h"
#include "varve.pb-c.h"

/* Layers that are made again have the id of the first one. */
struct layer {
	char *name;
	struct known *known;
};

/* What the trace calls a record. */
struct known {
	char id[DIGEST_TEXT_SIZE];
	int64_t size;
	bool written;
};

struct export
{
	struct cli_replies replies;
	struct hashmap *layers; /* struct layer by name */
	struct hashmap *known; /* struct known by id */
	bool names;
	FILE *out;
	int64_t first_ns, last_ns;
};

static void export_free(struct export *x)
{
	struct layer *layer;
	struct known *known;
	size_t at = 0;

	while (x->layers && (layer = hashmap_next(x->layers, &at))) {
		free(layer->name);
		free(layer);
	}
	at = 0;
	while (x->known && (known = hashmap_next(x->known, &at)))
		free(known);
	hashmap_free(x->layers);
	hashmap_free(x->known);
	cli_call_free_replies(&x->replies);
}
DEFINE_CLEANUP_VALUE(struct export, export_free)

/* 16 digits are enough for all layers of a host. */
#define HASHED_DIGITS 16

static int choose_id(const struct export *x, const Varve__V1__HistoryEvent *event,
		     char ret_id[DIGEST_TEXT_SIZE])
{
	const char *name = *event->identity ? event->identity : event->layer;
	struct digest digest;

	if (x->names) {
		(void)snprintf(ret_id, DIGEST_TEXT_SIZE, "%s", name);
		return 0;
	}
	if (digest_of(name, strlen(name), &digest) < 0)
		return -ENOMEM;
	(void)snprintf(ret_id, DIGEST_TEXT_SIZE, "%.*s", HASHED_DIGITS, digest_hex(&digest));
	return 0;
}

static int learn_known(struct export *x, const char *id, struct known **ret_known)
{
	struct known *known = hashmap_find(x->known, id);

	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known)
			return -ENOMEM;
		(void)snprintf(known->id, sizeof(known->id), "%s", id);
		if (hashmap_insert(x->known, known->id, known) < 0) {
			free(known);
			return -ENOMEM;
		}
	}
	*ret_known = known;
	return 0;
}

static int learn_layer(struct export *x, const Varve__V1__HistoryEvent *event)
{
	struct layer *layer = hashmap_find(x->layers, event->layer);
	char id[DIGEST_TEXT_SIZE];

	if (!layer && strcmp(event->event, "made") != 0)
		return 0; /* it is older than the history */
	if (!layer) {
		layer = calloc(1, sizeof(*layer));
		if (!layer)
			return -ENOMEM;
		layer->name = strdup(event->layer);
		if (!layer->name || choose_id(x, event, id) < 0 ||
		    learn_known(x, id, &layer->known) < 0 ||
		    hashmap_insert(x->layers, layer->name, layer) < 0) {
			free(layer->name);
			free(layer);
			return -ENOMEM;
		}
	}
	if (event->size > layer->known->size)
		layer->known->size = event->size;
	return 0;
}

static void write_time(struct export *x, int64_t time_ns)
{
	if (!x->first_ns)
		x->first_ns = x->last_ns = time_ns;
	if (time_ns > x->last_ns) /* clocks are set back */
		x->last_ns = time_ns;
	(void)fprintf(x->out, "{\"t\":%.3f", (double)(x->last_ns - x->first_ns) / NS_PER_S);
}

static void write_first(struct export *x, const Varve__V1__HistoryEvent *event, struct known *known)
{
	const struct layer *below = hashmap_find(x->layers, event->below);

	write_time(x, event->time_ns);
	(void)fprintf(x->out, ",\"id\":\"%s\",\"op\":\"create\",\"size\":%" PRId64, known->id,
		      known->size);
	if (below && below->known->written && below->known != known)
		(void)fprintf(x->out, ",\"parent\":\"%s\"", below->known->id);
	if (event->cost_ns > 0)
		(void)fprintf(x->out, ",\"cost\":%.3f", (double)event->cost_ns / NS_PER_S);
	(void)fputs("}\n", x->out);
	known->written = true;
}

/* A layer that is made again was needed, whatever a simulated store would have kept. */
static void write_event(struct export *x, const Varve__V1__HistoryEvent *event)
{
	const struct layer *layer = hashmap_find(x->layers, event->layer);
	bool made = strcmp(event->event, "made") == 0;

	if (!layer || (!made && strcmp(event->event, "needed") != 0))
		return;
	if (made && !layer->known->written) {
		write_first(x, event, layer->known);
	} else if (layer->known->written) {
		write_time(x, event->time_ns);
		(void)fprintf(x->out, ",\"id\":\"%s\",\"op\":\"use\"}\n", layer->known->id);
	}
}

int cli_history_export(struct cli *c, int64_t since_ns, bool names, FILE *out, struct error *e)
{
	cleanup(export_free) struct export x = {
		.names = names, .out = out, .layers = hashmap_new(), .known = hashmap_new()
	};
	Varve__V1__HistoryRequest request = VARVE__V1__HISTORY_REQUEST__INIT;
	int code;

	if (!x.layers || !x.known)
		return error_set(e, -ENOMEM, "out of memory for the history");
	request.since_ns = since_ns;
	code = cli_call_all(c, "History", &request.base, &varve__v1__history_batch__descriptor,
			    &x.replies, e);
	if (code < 0)
		return code;
	for (size_t i = 0; i < x.replies.count; i++) {
		const Varve__V1__HistoryBatch *batch =
			(Varve__V1__HistoryBatch *)x.replies.items[i];

		for (size_t k = 0; k < batch->n_events; k++)
			if (learn_layer(&x, batch->events[k]) < 0)
				return error_set(e, -ENOMEM, "out of memory for the history");
	}
	for (size_t i = 0; i < x.replies.count; i++) {
		const Varve__V1__HistoryBatch *batch =
			(Varve__V1__HistoryBatch *)x.replies.items[i];

		for (size_t k = 0; k < batch->n_events; k++)
			write_event(&x, batch->events[k]);
	}
	if (fflush(out) != 0 || ferror(out))
		return error_set(e, -errno, "write the trace: %s", strerror(errno));
	return 0;
}
