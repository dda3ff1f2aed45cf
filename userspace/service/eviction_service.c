/* SPDX-License-Identifier: Apache-2.0 */
#include "service/eviction_service.h"

#include <errno.h>
#include <stdlib.h>

#include "manager/eviction/eviction.h"
#include "service/native_messages.h"
#include "service/owners_service.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

static int send_pruned(const struct evicted_record *p, void *user)
{
	Varve__V1__PruneEvent event = VARVE__V1__PRUNE_EVENT__INIT;
	Varve__V1__Pruned pruned = VARVE__V1__PRUNED__INIT;

	pruned.id = (char *)p->id;
	pruned.parent = (char *)p->parent;
	pruned.size = p->size_bytes;
	pruned.created_ns = p->created_ns;
	pruned.last_used_ns = p->last_used_ns;
	pruned.usage_count = (int64_t)p->usage_count;
	pruned.score = p->score;
	pruned.reason = (char *)p->reason;
	pruned.description = (char *)p->description;
	pruned.record_type = (char *)p->type;
	pruned.mutable_ = p->is_mutable;
	pruned.shared = p->shared;
	pruned.to_lazy = p->to_lazy;
	event.event_case = VARVE__V1__PRUNE_EVENT__EVENT_PRUNED;
	event.pruned = &pruned;
	return service_call_send(user, &event.base);
}

static struct prune_space read_space(const Varve__V1__Space *space)
{
	if (!space)
		return (struct prune_space){ 0 };
	return (struct prune_space){ .bytes = space->bytes, .share = space->percent / 100 };
}

static struct manager *manager_of(void *user)
{
	return ((struct eviction_service *)user)->manager;
}

static int read_prune(struct manager *m, const Varve__V1__PruneRequest *request,
		      struct eviction_options *options, struct error *e)
{
	const Varve__V1__Limits *limits = request->limits;
	struct eviction_options o = { .all = request->all,
				      .filters = (const char *const *)request->filters,
				      .filter_count = request->n_filters,
				      .keep_duration_ns = request->keep_duration_ns,
				      .scorer = request->scorer,
				      .owner = request->owner };
	int code = 0;

	if (limits) {
		o.limits.reserved = read_space(limits->reserved);
		o.limits.max_used = read_space(limits->max_used);
		o.limits.min_free = read_space(limits->min_free);
	}
	if (request->keep_storage)
		o.limits.max_used = (struct prune_space){ .bytes = request->keep_storage };
	if (request->policy[0])
		code = eviction_policies_options(m, request->policy, &o, e);
	o.dry_run = request->dry_run;
	o.to_lazy = request->to_lazy;
	o.plan = request->plan;
	*options = o;
	return code;
}

/* Records of the agent, or of the owner that the request or its plan is about. */
static int prune(struct grpc_call *call, const struct eviction_service *service,
		 const Varve__V1__PruneRequest *request, const struct eviction_options *options,
		 struct eviction_summary *ret_summary, struct error *e)
{
	const char *owner = options->owner ? options->owner : "";
	bool owned = *owner ||
		     (request->plan[0] && owners_have_plan(service->owners, request->plan));

	return owned ? owners_service_prune(call, service->owners, owner, options, ret_summary, e)
		     : eviction_run(service->manager, options, send_pruned, call, ret_summary, e);
}

static void run_prune(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__PruneRequest *request = (Varve__V1__PruneRequest *)message;
	struct error e = { 0 };
	int code;
	struct eviction_options options;
	Varve__V1__PruneEvent event = VARVE__V1__PRUNE_EVENT__INIT;
	Varve__V1__PruneSummary sum = VARVE__V1__PRUNE_SUMMARY__INIT;
	struct eviction_summary result = { 0 };

	code = read_prune(manager_of(user), request, &options, &e);
	options.cancelled = grpc_call_cancel_flag(call);
	if (code == 0)
		code = prune(call, user, request, &options, &result, &e);
	sum.predicted = result.predicted_bytes;
	sum.freed = result.freed_bytes;
	sum.remaining = result.remaining_bytes;
	sum.goal_reached = result.goal_reached;
	sum.shortfall = result.shortfall;
	sum.missed = result.missed_bytes;
	sum.plan = result.plan;
	event.event_case = VARVE__V1__PRUNE_EVENT__EVENT_SUMMARY;
	event.summary = &sum;
	service_call_reply(call, code, &event.base, &e);
}

static void run_explain(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__IdRequest *request = (Varve__V1__IdRequest *)message;
	struct error e = { 0 };
	int code;
	Varve__V1__ExplainReply explained = VARVE__V1__EXPLAIN_REPLY__INIT;
	struct owners *owners = ((struct eviction_service *)user)->owners;
	struct eviction_explanation x;

	code = eviction_explain(manager_of(user), request->id, grpc_call_cancel_flag(call), &x, &e);
	if (code == 0)
		code = owners_refresh(owners, grpc_call_cancel_flag(call), &e);
	if (code == 0)
		code = owners_service_names(owners, x.id, &explained.owners, &explained.n_owners);
	if (code == 0) {
		explained.id = x.id;
		explained.kept = x.kept;
		explained.why = x.why;
		explained.policy = x.policy;
		explained.place = x.place;
		explained.places = x.places;
		explained.score = x.score;
	}
	service_call_reply(call, code, &explained.base, &e);
	owners_service_free_names(explained.owners, explained.n_owners);
}

static void run_policy_list(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	const Varve__V1__PolicyRequest *request = (const Varve__V1__PolicyRequest *)message;
	struct error e = { 0 };
	int code;
	struct eviction_policy_view *policies = NULL;
	Varve__V1__PolicyReply *all = NULL;
	size_t count = 0;

	code = eviction_policies_list(manager_of(user),
				      request->as_known ? EVICTION_POLICIES_AS_KNOWN
							: EVICTION_POLICIES_MEASURED,
				      grpc_call_cancel_flag(call), &policies, &count, &e);
	if (code == 0 && !(all = native_messages_policies(policies, count)))
		code = -ENOMEM;
	service_call_reply(call, code, all ? &all->base : NULL, &e);
	native_messages_free(all ? &all->base : NULL);
	free(policies);
}

const struct grpc_method eviction_service_methods[] = {
	{ "/varve.v1.Cache/Prune", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__prune_request__descriptor, run_prune } },
	{ "/varve.v1.Cache/Explain", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__id_request__descriptor, run_explain } },
	{ "/varve.v1.Cache/PolicyList", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__policy_request__descriptor,
					   run_policy_list } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
