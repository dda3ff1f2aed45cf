/* SPDX-License-Identifier: Apache-2.0 */
#include "service/history_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manager/eviction/eviction_forecast.h"
#include "manager/eviction/eviction_history.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

#define BATCH 200
#define NS_PER_MS INT64_C(1000000)

static const char *event_name(enum history_event event)
{
	switch (event) {
	case HISTORY_MADE:
		return "made";
	case HISTORY_NEEDED:
		return "needed";
	case HISTORY_EVICTED:
		return "evicted";
	case HISTORY_REMOVED:
		return "removed";
	}
	return "unknown";
}

/* Events on their way to the client. */
struct sending {
	struct grpc_call *call;
	struct history_view views[BATCH];
	Varve__V1__HistoryEvent events[BATCH];
	Varve__V1__HistoryEvent *pointers[BATCH];
	size_t count;
};

static int flush(struct sending *s)
{
	Varve__V1__HistoryBatch batch = VARVE__V1__HISTORY_BATCH__INIT;
	int code;

	if (s->count == 0)
		return 0;
	batch.events = s->pointers;
	batch.n_events = s->count;
	code = service_call_send(s->call, &batch.base);
	s->count = 0;
	return code;
}

static int send_event(const struct history_view *event, void *user)
{
	struct sending *s = user;
	struct history_view *view = &s->views[s->count];
	Varve__V1__HistoryEvent *message = &s->events[s->count];

	*view = *event;
	varve__v1__history_event__init(message);
	message->time_ns = view->at_ns;
	message->event = (char *)event_name(view->event);
	message->layer = view->layer;
	message->record = view->record;
	message->identity = view->identity;
	message->below = view->below;
	message->size = view->bytes > 0 ? view->bytes : -1;
	message->cost_ns = view->cost_ms * NS_PER_MS;
	message->by = view->by;
	message->regret_ns = view->since_ns;
	s->pointers[s->count++] = message;
	return s->count == BATCH ? flush(s) : 0;
}

static void run_history(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__HistoryRequest *request = (Varve__V1__HistoryRequest *)message;
	struct history_query query = { .id = request->id,
				       .since_ns = request->since_ns,
				       .cancelled = grpc_call_cancel_flag(call) };
	cleanup(free_ptr) struct sending *s = calloc(1, sizeof(*s));
	struct error e = { 0 };
	int code = -ENOMEM;

	if (s) {
		s->call = call;
		code = eviction_history(user, &query, send_event, s, &e);
	}
	if (code == 0)
		code = flush(s);
	service_call_finish(call, code, &e);
}

static void fill_regretted(Varve__V1__Regretted *message, const struct history_regretted *r)
{
	varve__v1__regretted__init(message);
	message->layers = r->layers;
	message->bytes = r->bytes;
	message->cost_ns = r->cost_ms * NS_PER_MS;
}

struct regret_message {
	Varve__V1__Regret regret;
	Varve__V1__Regretted day, week;
};

static void fill_regret(struct regret_message *message, const struct history_regret *r)
{
	varve__v1__regret__init(&message->regret);
	fill_regretted(&message->day, &r->day);
	fill_regretted(&message->week, &r->week);
	message->regret.by = (char *)r->by;
	message->regret.evicted = r->evicted;
	message->regret.evicted_bytes = r->evicted_bytes;
	message->regret.day = &message->day;
	message->regret.week = &message->week;
}

static void run_regret(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__RegretReply reply = VARVE__V1__REGRET_REPLY__INIT;
	cleanup(free_ptr) struct history_regret *regrets = NULL;
	struct error e = { 0 };
	size_t count = 0;
	const Varve__V1__RegretRequest *request = (const Varve__V1__RegretRequest *)message;
	int code = eviction_history_regrets(user, request->as_written, grpc_call_cancel_flag(call),
					    &regrets, &count, &reply.since_ns, &e);
	cleanup(free_ptr) struct regret_message *messages = calloc(count + 1, sizeof(*messages));
	cleanup(free_ptr)
		Varve__V1__Regret **pointers = calloc(count + 1, sizeof(Varve__V1__Regret *));

	if (code == 0 && (!messages || !pointers))
		code = -ENOMEM;
	for (size_t i = 0; code == 0 && i < count; i++) {
		fill_regret(&messages[i], &regrets[i]);
		pointers[i] = &messages[i].regret;
	}
	reply.regrets = pointers;
	reply.n_regrets = count;
	service_call_reply(call, code, &reply.base, &e);
}

/* A class on its way to the client. */
struct class_message {
	Varve__V1__ForecastClass class;
	Varve__V1__ForecastCell cells[FORECAST_BINS];
	Varve__V1__ForecastCell *pointers[FORECAST_BINS];
};

static void fill_class(struct class_message *message, const struct forecast_class *c)
{
	Varve__V1__ForecastClass *m = &message->class;

	varve__v1__forecast_class__init(m);
	m->needs_from = c->needs_from;
	m->needs_to = c->needs_to;
	m->gap_from_s = c->gap_from_s;
	m->gap_to_s = c->gap_to_s;
	m->superseded = c->superseded;
	m->returns = c->returns;
	m->idle_s = c->idle_s;
	m->trust = c->trust;
	for (size_t i = 0; i < FORECAST_BINS; i++) {
		Varve__V1__ForecastCell *cell = &message->cells[i];

		varve__v1__forecast_cell__init(cell);
		cell->from_s = c->cells[i].from_s;
		cell->to_s = c->cells[i].to_s;
		cell->returns = c->cells[i].returns;
		cell->idle_s = c->cells[i].idle_s;
		cell->needed_again_s = c->cells[i].needed_again_s;
		message->pointers[i] = cell;
	}
	m->cells = message->pointers;
	m->n_cells = FORECAST_BINS;
}

static void run_forecast(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	cleanup(eviction_forecast_free) struct eviction_forecast f = { 0 };
	Varve__V1__ForecastReply reply = VARVE__V1__FORECAST_REPLY__INIT;
	struct error e = { 0 };
	int code = eviction_forecast_describe(user, &f, &e);
	cleanup(free_ptr) struct class_message *messages = calloc(f.count + 1, sizeof(*messages));
	cleanup(free_ptr) Varve__V1__ForecastClass **pointers =
		calloc(f.count + 1, sizeof(Varve__V1__ForecastClass *));

	(void)message; /* it is empty */
	if (code == 0 && (!messages || !pointers))
		code = -ENOMEM;
	for (size_t i = 0; code == 0 && i < f.count; i++) {
		fill_class(&messages[i], &f.classes[i]);
		pointers[i] = &messages[i].class;
	}
	reply.busy_s = f.busy_s;
	reply.half_life_s = f.half_life_s;
	reply.enough_returns = f.enough_returns;
	reply.layers = f.layers;
	reply.departed = f.departed;
	reply.classes = pointers;
	reply.n_classes = code == 0 ? f.count : 0;
	service_call_reply(call, code, &reply.base, &e);
}

const struct grpc_method history_service_methods[] = {
	{ "/varve.v1.Cache/History", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__history_request__descriptor, run_history } },
	{ "/varve.v1.Cache/Regret", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__regret_request__descriptor, run_regret } },
	{ "/varve.v1.Cache/Forecast", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__empty__descriptor, run_forecast } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
