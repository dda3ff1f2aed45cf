/* SPDX-License-Identifier: Apache-2.0 */
#include "service/control_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control.pb-c.h"
#include "service/control_worker.h"
#include "service/service_call.h"
#include "manager/eviction/eviction.h"
#include "manager/records/records.h"

static struct manager *manager_of(void *user)
{
	return ((struct control_service *)user)->manager;
}

/* A record's message, with all that it points to. Texts are borrowed from the view. */
struct usage_message {
	Moby__Buildkit__V1__UsageRecord record;
	Moby__Buildkit__V1__Timestamp created, last_used;
	char *parents[1];
};

static void fill_time(Moby__Buildkit__V1__Timestamp *t, int64_t ns)
{
	moby__buildkit__v1__timestamp__init(t);
	t->seconds = ns / NS_PER_S;
	t->nanos = (int32_t)(ns % NS_PER_S);
	if (t->nanos < 0) { /* before 1970 */
		t->seconds--;
		t->nanos += (int32_t)NS_PER_S;
	}
}

static void fill_usage(struct usage_message *u, const char *parent, int64_t created_ns,
		       int64_t last_used_ns)
{
	moby__buildkit__v1__usage_record__init(&u->record);
	fill_time(&u->created, created_ns);
	u->record.created_at = &u->created;
	if (last_used_ns) {
		fill_time(&u->last_used, last_used_ns);
		u->record.last_used_at = &u->last_used;
	}
	if (*parent) {
		u->parents[0] = (char *)parent;
		u->record.parent = u->parents[0];
		u->record.parents = u->parents;
		u->record.n_parents = 1;
	}
}

static void fill_usage_of_view(struct usage_message *u, const struct record_view *v)
{
	struct record counted = v->record; /* the view has a copy of the layer */
	Moby__Buildkit__V1__UsageRecord *m = &u->record;

	counted.layer = (struct layer *)&v->layer;
	fill_usage(u, v->parent, counted.created_ns, record_last_used_ns(&counted));
	m->id = (char *)v->record.id;
	m->mutable_ = counted.is_mutable;
	m->in_use = v->in_use;
	m->size = v->size_known ? v->layer.allocated_bytes : 0;
	m->usage_count = (int64_t)record_usage_count(&counted);
	m->description = counted.description;
	m->record_type = (char *)counted.type;
	m->shared = counted.shared;
}

/* The whole listing is one message, because BuildKit's clients expect that. */
static int send_usage(struct grpc_call *call, const struct record_view *views, size_t count)
{
	Moby__Buildkit__V1__DiskUsageResponse response =
		MOBY__BUILDKIT__V1__DISK_USAGE_RESPONSE__INIT;
	cleanup(free_ptr) struct usage_message *messages = calloc(count + 1, sizeof(*messages));
	cleanup(free_ptr)
		Moby__Buildkit__V1__UsageRecord **records = calloc(count + 1, sizeof(*records));

	if (!messages || !records)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		fill_usage_of_view(&messages[i], &views[i]);
		records[i] = &messages[i].record;
	}
	response.record = records;
	response.n_record = count;
	return service_call_send(call, &response.base);
}

static void run_disk_usage(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Moby__Buildkit__V1__DiskUsageRequest *request =
		(Moby__Buildkit__V1__DiskUsageRequest *)message;
	struct error e = { 0 };
	int code;
	struct record_query query = { .filters = (const char *const *)request->filter,
				      .filter_count = request->n_filter,
				      .disk_usage = true,
				      .unused_for_ns = request->age_limit,
				      .cancelled = grpc_call_cancel_flag(call) };
	struct record_view *views = NULL;
	size_t count = 0;

	code = record_list(manager_of(user), &query, &views, &count, &e);
	if (code == 0)
		code = send_usage(call, views, count);
	record_list_free(views, count);
	service_call_finish(call, code, &e);
}

static int send_pruned(const struct evicted_record *p, void *user)
{
	struct usage_message u;
	Moby__Buildkit__V1__UsageRecord *m = &u.record;

	fill_usage(&u, p->parent, p->created_ns, p->last_used_ns);
	m->id = (char *)p->id;
	m->mutable_ = p->is_mutable;
	m->size = p->size_bytes;
	m->usage_count = (int64_t)p->usage_count;
	m->description = (char *)p->description;
	m->record_type = (char *)p->type;
	m->shared = p->shared;
	return service_call_send(user, &m->base);
}

/* Without another limit, the reserved space is the limit, as in BuildKit: older clients send no
 * other. */
static struct prune_limits read_limits(const Moby__Buildkit__V1__PruneRequest *request)
{
	struct prune_limits limits = { .reserved.bytes = request->reserved_space,
				       .max_used.bytes = request->max_used_space,
				       .min_free.bytes = request->min_free_space };

	if (!request->max_used_space && !request->min_free_space)
		limits.max_used = limits.reserved;
	return limits;
}

static void run_prune(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Moby__Buildkit__V1__PruneRequest *request = (Moby__Buildkit__V1__PruneRequest *)message;
	struct error e = { 0 };
	int code;
	struct eviction_options options = { .all = request->all,
					    .filters = (const char *const *)request->filter,
					    .filter_count = request->n_filter,
					    .keep_duration_ns = request->keep_duration,
					    .limits = read_limits(request),
					    .trigger = METER_TRIGGER_API,
					    .cancelled = grpc_call_cancel_flag(call) };
	struct eviction_summary summary;

	code = eviction_run(manager_of(user), &options, send_pruned, call, &summary, &e);
	service_call_finish(call, code, &e);
}

static void run_list_workers(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Moby__Buildkit__V1__ListWorkersRequest *request =
		(Moby__Buildkit__V1__ListWorkersRequest *)message;
	struct error e = { 0 };
	int code;
	Moby__Buildkit__V1__ListWorkersResponse response =
		MOBY__BUILDKIT__V1__LIST_WORKERS_RESPONSE__INIT;
	cleanup(control_worker_free) struct control_worker *worker = NULL;
	Moby__Buildkit__V1__WorkerRecord *record;
	bool matches = false;

	code = control_worker_new(manager_of(user), &worker, &e);
	if (code == 0)
		code = control_worker_match(worker, (const char *const *)request->filter,
					    request->n_filter, &matches, &e);
	if (matches) {
		record = control_worker_record(worker);
		response.record = &record;
		response.n_record = 1;
	}
	service_call_reply(call, code, &response.base, &e);
}

static void run_info(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	struct error e = { 0 };
	int code;
	Moby__Buildkit__V1__InfoResponse response = MOBY__BUILDKIT__V1__INFO_RESPONSE__INIT;
	Moby__Buildkit__V1__BuildkitVersion version;

	(void)message; /* the request has no fields */
	(void)user;
	control_worker_fill_version(&version);
	response.buildkit_version = &version;
	code = 0;
	service_call_reply(call, code, &response.base, &e);
}

const struct grpc_method control_service_methods[] = {
	{ "/moby.buildkit.v1.Control/DiskUsage", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &moby__buildkit__v1__disk_usage_request__descriptor,
					   run_disk_usage } },
	{ "/moby.buildkit.v1.Control/Prune", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &moby__buildkit__v1__prune_request__descriptor,
					   run_prune } },
	{ "/moby.buildkit.v1.Control/ListWorkers", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &moby__buildkit__v1__list_workers_request__descriptor,
					   run_list_workers } },
	{ "/moby.buildkit.v1.Control/Info", service_call_run, GRPC_METHOD_READS_BRIEFLY,
	  &(const struct service_handler){ &moby__buildkit__v1__info_request__descriptor,
					   run_info } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
