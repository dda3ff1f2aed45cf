/* SPDX-License-Identifier: Apache-2.0 */
#include "service/events_service.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "manager/manager.h"
#include "manager/state/event_ring.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

#define BATCH 100
#define FOLLOWERS_MAX 32

struct events_service {
	struct event_ring *ring;
	int64_t instance; /* tells this agent from the next one */
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a follower has */
	size_t followers;
};

struct events_service *events_service_new(struct manager *m)
{
	struct events_service *s = calloc(1, sizeof(*s));
	struct manager_info info = { 0 };

	if (!s || manager_info(m, &info, NULL) < 0) {
		free(s);
		return NULL;
	}
	s->ring = manager_events(m);
	s->instance = info.started_ns;
	manager_info_free(&info);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	return s;
}

void events_service_stop(struct events_service *s)
{
	event_ring_close(s->ring);
	pthread_mutex_lock(&s->lock);
	while (s->followers > 0)
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

void events_service_free(struct events_service *s)
{
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ended);
	free(s);
}

/* ---- what is sent ---- */

struct batch {
	struct ring_event events[BATCH];
	Varve__V1__Event messages[BATCH];
	Varve__V1__Event *pointers[BATCH];
	size_t count;
	uint64_t missed;
};

static void fill_message(Varve__V1__Event *message, struct ring_event *event)
{
	varve__v1__event__init(message);
	message->seq = event->seq;
	message->time_ns = event->at_ns;
	message->event = (char *)event_ring_kind_name(event->kind);
	message->record = event->record;
	message->layer = event->layer;
	message->size = event->bytes;
	message->by = event->by;
	message->plan = event->plan;
	message->detail = event->detail;
}

static int send_batch(const struct events_service *s, struct grpc_call *call, struct batch *b)
{
	Varve__V1__EventBatch reply = VARVE__V1__EVENT_BATCH__INIT;

	for (size_t i = 0; i < b->count; i++) {
		fill_message(&b->messages[i], &b->events[i]);
		b->pointers[i] = &b->messages[i];
	}
	reply.instance_ns = s->instance;
	reply.missed = b->missed;
	reply.events = b->pointers;
	reply.n_events = b->count;
	return service_call_send(call, &reply.base);
}

/* Drops the events before a time. */
static void drop_older(struct batch *b, int64_t since_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->count; i++)
		if (b->events[i].at_ns >= since_ns)
			b->events[kept++] = b->events[i];
	b->count = kept;
}

/* Sends what is there after *after, which moves on. The first batch is sent even if it is empty: it
 * says that the call has begun. */
static int send_present(const struct events_service *s, struct grpc_call *call, struct batch *b,
			uint64_t *after, int64_t since_ns, bool first)
{
	size_t taken;
	int code = 0;

	do {
		taken = event_ring_read(s->ring, *after, b->events, BATCH, &b->missed);
		*after += taken + b->missed;
		b->count = taken;
		drop_older(b, since_ns);
		if (first || b->count > 0 || b->missed > 0)
			code = send_batch(s, call, b);
		first = false;
	} while (code == 0 && taken == BATCH);
	return code;
}

/* ---- followers ---- */

struct follower {
	struct events_service *service;
	struct grpc_call *call;
	uint64_t after;
	int64_t since_ns;
	struct batch batch;
};

static int follow(struct follower *f)
{
	const struct events_service *s = f->service;
	int code = send_present(s, f->call, &f->batch, &f->after, f->since_ns, true);

	while (code == 0 && event_ring_wait(s->ring, f->after)) {
		if (*grpc_call_cancel_flag(f->call))
			return -ECANCELED;
		code = send_present(s, f->call, &f->batch, &f->after, 0, false);
	}
	return code;
}

static void *run_follower(void *arg)
{
	struct follower *f = arg;
	struct events_service *s = f->service;
	int code = follow(f);

	grpc_call_finish_outside(f->call, code, NULL);
	free(f);
	pthread_mutex_lock(&s->lock);
	s->followers--;
	pthread_cond_broadcast(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int take_place(struct events_service *s, struct error *e)
{
	bool free_place;

	pthread_mutex_lock(&s->lock);
	free_place = s->followers < FOLLOWERS_MAX;
	s->followers += free_place;
	pthread_mutex_unlock(&s->lock);
	return free_place ? 0
			  : error_set(e, -EMFILE,
				      "%d clients follow the events already: end one of them",
				      FOLLOWERS_MAX);
}

static void give_place_back(struct events_service *s)
{
	pthread_mutex_lock(&s->lock);
	s->followers--;
	pthread_cond_broadcast(&s->ended);
	pthread_mutex_unlock(&s->lock);
}

static int start_thread(struct follower *f)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int code;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	code = -pthread_create(&thread, &attributes, run_follower, f);
	pthread_attr_destroy(&attributes);
	return code;
}

/* On success the call belongs to the follower. */
static int start_follower(struct events_service *s, struct grpc_call *call, uint64_t after,
			  int64_t since_ns, struct error *e)
{
	struct follower *f;
	int code = take_place(s, e);

	if (code < 0)
		return code;
	f = calloc(1, sizeof(*f));
	if (f) {
		f->service = s;
		f->call = call;
		f->after = after;
		f->since_ns = since_ns;
	}
	code = f ? start_thread(f) : -ENOMEM;
	if (code == 0)
		return 0;
	free(f);
	give_place_back(s);
	return error_set(e, code, "no thread to follow the events");
}

/* ---- the call ---- */

/* From the beginning, from where a client was, or, for a follower that says neither, from now. */
static uint64_t choose_start(const struct events_service *s, const Varve__V1__EventsRequest *r)
{
	if (r->instance_ns)
		return r->instance_ns == s->instance ? r->after_seq : 0;
	return r->follow && !r->since_ns ? event_ring_last(s->ring) : 0;
}

static void run_events(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	const Varve__V1__EventsRequest *request = (Varve__V1__EventsRequest *)message;
	struct events_service *s = user;
	uint64_t after = choose_start(s, request);
	struct error e = { 0 };
	int code;

	if (request->follow) {
		code = start_follower(s, call, after, request->since_ns, &e);
		if (code == 0)
			return;
	} else {
		cleanup(free_ptr) struct batch *b = calloc(1, sizeof(*b));

		code = b ? send_present(s, call, b, &after, request->since_ns, true) : -ENOMEM;
	}
	service_call_finish(call, code, &e);
}

const struct grpc_method events_service_methods[] = {
	{ "/varve.v1.Cache/Events", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__events_request__descriptor, run_events } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
