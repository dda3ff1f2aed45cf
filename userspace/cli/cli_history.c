/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_history.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

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

int cli_history_trace(struct cli *c, int64_t since_ns, struct trace *ret_trace, struct error *e)
{
	cleanup(close_fd) int fd = memfd_create("history", MFD_CLOEXEC);
	cleanup(close_file) FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	char path[32];
	int code;

	if (!file)
		return error_set(e, -errno, "memory for the history: %s", strerror(errno));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", take_fd(&fd));
	code = cli_history_export(c, since_ns, false, file, e);
	return code < 0 ? code : trace_read(path, ret_trace, e);
}

/* ---- regrets ---- */

static bool is_of_policy(const Varve__V1__Regret *regret, const char *policy)
{
	size_t length = policy ? strlen(policy) : 0;

	return !policy || (strncmp(regret->by, policy, length) == 0 && regret->by[length] == '/');
}

bool cli_history_regret_text(const struct output *o, const Varve__V1__RegretReply *reply,
			     const char *policy, char *text, size_t size)
{
	char bytes[UNITS_TEXT_MAX], cost[UNITS_TEXT_MAX];
	uint64_t evicted = 0, layers = 0;
	int64_t size_bytes = 0, cost_ns = 0;

	for (size_t i = 0; i < reply->n_regrets; i++) {
		const Varve__V1__Regret *regret = reply->regrets[i];

		if (!is_of_policy(regret, policy))
			continue;
		evicted += regret->evicted;
		layers += regret->week->layers;
		size_bytes += regret->week->bytes;
		cost_ns += regret->week->cost_ns;
	}
	if (evicted == 0)
		return false;
	(void)snprintf(text, size,
		       "%" PRIu64 " of %" PRIu64 " evicted layers made again within 7 days", layers,
		       evicted);
	if (layers > 0)
		(void)snprintf(text + strlen(text), size - strlen(text), " (%s, %s)",
			       output_size(o, size_bytes, bytes),
			       units_format_about((double)cost_ns / NS_PER_S, cost));
	return true;
}

static void regretted_json(struct json_writer *w, const char *key,
			   const Varve__V1__Regretted *regretted)
{
	json_open_object(w, key);
	json_put_uint(w, "layers", regretted->layers);
	output_json_size(w, "size", regretted->bytes);
	json_put_double(w, "cost", (double)regretted->cost_ns / NS_PER_S);
	json_close_object(w);
}

void cli_history_regret_json(struct json_writer *w, const Varve__V1__Regret *regret)
{
	json_put_string(w, "by", regret->by);
	json_put_uint(w, "evicted", regret->evicted);
	output_json_size(w, "evictedSize", regret->evicted_bytes);
	regretted_json(w, "day", regret->day);
	regretted_json(w, "week", regret->week);
}

void cli_history_regrets_json(struct json_writer *w, const Varve__V1__RegretReply *reply,
			      const char *policy)
{
	json_open_array(w, "regrets");
	for (size_t i = 0; i < reply->n_regrets; i++) {
		if (!is_of_policy(reply->regrets[i], policy))
			continue;
		json_open_object(w, NULL);
		cli_history_regret_json(w, reply->regrets[i]);
		json_close_object(w);
	}
	json_close_array(w);
}

Varve__V1__RegretReply *cli_history_regrets(struct cli *c, struct error *e)
{
	Varve__V1__RegretRequest request = VARVE__V1__REGRET_REQUEST__INIT;

	request.as_written = true;
	return cli_call_one(c, "Regret", &request.base, &varve__v1__regret_reply__descriptor, e);
}
