/* SPDX-License-Identifier: Apache-2.0 */
#include "service/owners_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

static void fill_owner(const struct owner_state *state, Varve__V1__Owner *owner)
{
	const struct owner_settings *settings = state->settings;

	varve__v1__owner__init(owner);
	owner->name = settings->name;
	owner->kind = (char *)owner_settings_kind(settings);
	owner->address = settings->address;
	owner->evicts_cache = settings->evict & OWNER_EVICT_CACHE;
	owner->evicts_images = settings->evict & OWNER_EVICT_IMAGES;
	owner->reachable = state->reachable;
	owner->problem = (char *)state->problem;
	owner->asking = state->asking;
	owner->version = (char *)state->version;
	owner->records = state->records;
	owner->size = state->layer_bytes;
	owner->evictable = state->evictable;
	owner->evictable_size = state->evictable_bytes;
	owner->asked_ns = state->asked_ns;
}

static int reply_owners(struct grpc_call *call, const struct owner_state *states, size_t count,
			struct error *e)
{
	cleanup(free_ptr) Varve__V1__Owner *owners = calloc(count + 1, sizeof(*owners));
	cleanup(free_ptr) Varve__V1__Owner **pointers = calloc(count + 1, sizeof(*pointers));
	Varve__V1__OwnersReply reply = VARVE__V1__OWNERS_REPLY__INIT;

	if (!owners || !pointers)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		fill_owner(&states[i], &owners[i]);
		pointers[i] = &owners[i];
	}
	reply.n_owners = count;
	reply.owners = pointers;
	service_call_reply(call, 0, &reply.base, e);
	return 0;
}

static void run_owners(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	struct error e = { 0 };
	cleanup(free_ptr) struct owner_state *states = NULL;
	size_t count = 0;
	int code = owners_list(user, grpc_call_cancel_flag(call), &states, &count, &e);

	(void)message; /* the request has no fields */
	if (code == 0)
		code = reply_owners(call, states, count, &e);
	if (code < 0)
		service_call_finish(call, code, &e);
}

/* ---- names ---- */

struct names {
	Varve__V1__OwnerName **items;
	size_t count, capacity;
};

static char *copy_text(const char *text)
{
	return strdup(text ? text : "");
}

/* What is allocated here is freed as unpacking would have allocated it. */
static int add_name(const struct owner_name *from, void *user)
{
	struct names *names = user;
	Varve__V1__OwnerName **items =
		vec_reserve(names->items, &names->capacity, names->count + 1, sizeof(*items));
	Varve__V1__OwnerName *name = items ? malloc(sizeof(*name)) : NULL;

	if (items)
		names->items = items;
	if (!name)
		return -ENOMEM;
	varve__v1__owner_name__init(name);
	name->owner = copy_text(from->owner);
	name->kind = copy_text(from->kind);
	name->id = copy_text(from->id);
	name->description = copy_text(from->description);
	name->last_used_ns = from->last_used_ns;
	name->kept = copy_text(from->kept);
	names->items[names->count++] = name;
	return name->owner && name->kind && name->id && name->description && name->kept ? 0
											: -ENOMEM;
}

int owners_service_names(struct owners *owners, const char *record,
			 Varve__V1__OwnerName ***ret_names, size_t *ret_count)
{
	struct names names = { 0 };
	int code = owners_visit_names(owners, record, add_name, &names);

	if (code == 0) {
		*ret_names = names.items;
		*ret_count = names.count;
		return 0;
	}
	owners_service_free_names(names.items, names.count);
	return code;
}

void owners_service_free_names(Varve__V1__OwnerName **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		varve__v1__owner_name__free_unpacked(names[i], NULL);
	free(names);
}

/* ---- prune ---- */

static int send_step(const struct owner_outcome *outcome, void *user)
{
	const struct owner_step *s = outcome->step;
	Varve__V1__PruneEvent event = VARVE__V1__PRUNE_EVENT__INIT;
	Varve__V1__Pruned pruned = VARVE__V1__PRUNED__INIT;

	pruned.id = s->id;
	pruned.parent = s->parent;
	pruned.size = s->planned.record.size_bytes;
	pruned.created_ns = s->created_ns;
	pruned.last_used_ns = s->planned.record.last_used_ns;
	pruned.usage_count = (int64_t)s->planned.record.usage_count;
	pruned.score = s->planned.step.score;
	pruned.reason = (char *)outcome->reason;
	pruned.description = s->description;
	pruned.record_type = s->type;
	pruned.mutable_ = s->is_mutable;
	pruned.shared = s->shared;
	pruned.refused = (char *)(outcome->refused ? outcome->refused : "");
	pruned.owner = (char *)outcome->owner;
	event.event_case = VARVE__V1__PRUNE_EVENT__EVENT_PRUNED;
	event.pruned = &pruned;
	return service_call_send(user, &event.base);
}

int owners_service_prune(struct grpc_call *call, struct owners *owners, const char *owner,
			 const struct eviction_options *options,
			 struct eviction_summary *ret_summary, struct error *e)
{
	return owners_prune(owners, owner, options, send_step, call, ret_summary, e);
}

const struct grpc_method owners_service_methods[] = {
	{ "/varve.v1.Cache/Owners", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__empty__descriptor, run_owners } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
