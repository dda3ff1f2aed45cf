/* SPDX-License-Identifier: Apache-2.0 */
#include "service/history_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	int code = eviction_history_regrets(user, grpc_call_cancel_flag(call), &regrets, &count,
					    &reply.since_ns, &e);
	cleanup(free_ptr) struct regret_message *messages = calloc(count + 1, sizeof(*messages));
	cleanup(free_ptr)
		Varve__V1__Regret **pointers = calloc(count + 1, sizeof(Varve__V1__Regret *));

	(void)message; /* it is empty */
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

const struct grpc_method history_service_methods[] = {
	{ "/varve.v1.Cache/History", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__history_request__descriptor, run_history } },
	{ "/varve.v1.Cache/Regret", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__empty__descriptor, run_regret } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
