/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "owners/clients/buildkit_client.h"
#include "owners/clients/containerd_client.h"
#include "owners/clients/containerd_query.h"
#include "owners/clients/message_call.h"

/* A call, and all calls for leases, may take so many times the silence that is allowed. */
#define CALL_PATIENCE 6

int owner_answer_connect(const struct owner_settings *o, const atomic_bool *cancelled,
			 struct grpc_channel **ret_channel, struct error *e)
{
	const struct buildkit_access access = {
		.socket = o->address,
		.peer = o->name,
		.upgrade = o->kind == OWNER_DOCKER ? "/grpc" : NULL,
		.cancelled = cancelled,
		.patience_ns = o->timeout_ns,
		.call_limit_ns = CALL_PATIENCE * o->timeout_ns,
	};

	return buildkit_client_connect(&access, ret_channel, e);
}

static int ask_owner(const struct owner_settings *o, const atomic_bool *cancelled,
		     struct owner_answer *a, struct error *e)
{
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	int code = owner_answer_connect(o, cancelled, &ch, e);

	if (code < 0)
		return code;
	code = buildkit_client_version(ch, &a->version, e);
	if (code < 0)
		return code;
	code = buildkit_client_usage(ch, NULL, &a->usage, e);
	if (code < 0)
		return code;
	a->count = a->usage->n_record;
	a->records = calloc(a->count + 1, sizeof(*a->records));
	if (!a->records)
		return error_set(e, -ENOMEM, "out of memory for %zu records", a->count);
	for (size_t i = 0; i < a->count; i++)
		a->records[i].said = a->usage->record[i];
	return 0;
}

/* The ids of all leases; the reply owns them. */
static int index_leases(const Varve__Containerd__ListLeasesReply *reply,
			struct hashmap **ret_leases, struct error *e)
{
	cleanup(hashmap_free) struct hashmap *leases = hashmap_new();

	if (!leases)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < reply->n_leases; i++)
		if (hashmap_insert(leases, reply->leases[i]->id, reply->leases[i]) == -ENOMEM)
			return error_set(e, -ENOMEM, "out of memory");
	*ret_leases = take_ptr(leases);
	return 0;
}

/* A record that has just lost its lease is as one that never had any. */
static int find_snapshot(struct grpc_channel *ch, const struct owner_settings *o,
			 const struct hashmap *leases, struct owner_record *r, struct error *e)
{
	int code;

	r->leased = hashmap_find(leases, r->said->id) != NULL;
	if (!r->leased)
		return 0;
	code = containerd_query_lease_snapshot(ch, r->said->id, o->snapshotter, NULL, &r->snapshot,
					       e);
	if (code != -ENOENT)
		return code;
	r->leased = false;
	return 0;
}

/* A container names its snapshot. Docker's do not: their leases have the id of the container, and
 * keep the snapshot of that name. */
static int find_container_snapshot(struct grpc_channel *ch, const struct owner_settings *o,
				   const struct hashmap *leases,
				   const Varve__Containerd__Container *c, char **ret_key,
				   struct error *e)
{
	int code;

	if (c->snapshot_key[0]) {
		if (strcmp(c->snapshotter, o->snapshotter) != 0)
			return 0;
		*ret_key = strdup(c->snapshot_key);
		return *ret_key ? 0 : error_set(e, -ENOMEM, "out of memory");
	}
	if (!hashmap_find(leases, c->id))
		return 0;
	code = containerd_query_lease_snapshot(ch, c->id, o->snapshotter, c->id, ret_key, e);
	return code == -ENOENT ? 0 : code;
}

static int find_container_snapshots(struct grpc_channel *ch, const struct owner_settings *o,
				    const struct hashmap *leases, int64_t until_ns,
				    struct owner_answer *a, struct error *e)
{
	int code = containerd_query_containers(ch, &a->containers, e);

	if (code < 0)
		return code;
	a->container_snapshots =
		calloc(a->containers->n_containers + 1, sizeof(*a->container_snapshots));
	if (!a->container_snapshots)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < a->containers->n_containers && code == 0; i++) {
		if (clock_monotonic_ns() > until_ns)
			return error_set(e, -ETIMEDOUT,
					 "containerd is too slow: %zu of %zu "
					 "containers were looked up",
					 i, a->containers->n_containers);
		code = find_container_snapshot(ch, o, leases, a->containers->containers[i],
					       &a->container_snapshots[i], e);
	}
	return code;
}

static int ask_containerd(const struct owner_settings *o, const char *containerd,
			  const atomic_bool *cancelled, struct owner_answer *a, struct error *e)
{
	const struct containerd_access access = { .socket = o->containerd ? o->containerd
									  : containerd,
						  .namespace = o->namespace,
						  .cancelled = cancelled,
						  .patience_ns = o->timeout_ns,
						  .call_limit_ns = CALL_PATIENCE * o->timeout_ns };
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	cleanup(free_message) Varve__Containerd__ListLeasesReply *reply = NULL;
	cleanup(hashmap_free) struct hashmap *leases = NULL;
	int64_t until_ns = clock_monotonic_ns() + CALL_PATIENCE * o->timeout_ns;
	int code = containerd_client_connect(&access, &ch, e);

	if (code < 0)
		return code;
	code = containerd_query_leases(ch, &reply, e);
	if (code < 0)
		return code;
	code = index_leases(reply, &leases, e);
	if (code == 0)
		code = find_container_snapshots(ch, o, leases, until_ns, a, e);
	for (size_t i = 0; i < a->count && code == 0; i++) {
		if (clock_monotonic_ns() > until_ns)
			return error_set(e, -ETIMEDOUT,
					 "containerd at %s is too slow: %zu of %zu "
					 "leases were read",
					 access.socket, i, a->count);
		code = find_snapshot(ch, o, leases, &a->records[i], e);
	}
	return code;
}

int owner_answer_get(const struct owner_settings *o, const char *containerd,
		     const atomic_bool *cancelled, struct owner_answer *ret_answer, struct error *e)
{
	cleanup(owner_answer_free) struct owner_answer a = { .count = 0 };
	int code = ask_owner(o, cancelled, &a, e);

	if (code == 0)
		code = ask_containerd(o, containerd, cancelled, &a, e);
	if (code < 0)
		return code;
	*ret_answer = a;
	a = (struct owner_answer){ 0 };
	return 0;
}

void owner_answer_free(struct owner_answer *a)
{
	for (size_t i = 0; a->records && i < a->count; i++)
		free(a->records[i].snapshot);
	free(a->records);
	free(a->version);
	if (a->usage)
		protobuf_c_message_free_unpacked(&a->usage->base, NULL);
	for (size_t i = 0; a->container_snapshots && i < a->containers->n_containers; i++)
		free(a->container_snapshots[i]);
	free(a->container_snapshots);
	if (a->containers)
		protobuf_c_message_free_unpacked(&a->containers->base, NULL);
	*a = (struct owner_answer){ 0 };
}
