/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_leases.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "owners/clients/containerd_query.h"
#include "owners/clients/message_call.h"

#define READERS_MAX 4
#define LEASES_PER_READER 64 /* fewer are not worth another connection */

/* All readers of one call. */
struct reading {
	const struct owner_leases_options *o;
	struct owner_leases *leases;
	int64_t until_ns;
	atomic_size_t next; /* the lease that the next free reader takes */
	atomic_bool failed; /* tells the other readers to stop */
};

struct reader {
	struct reading *reading;
	struct grpc_channel *ch; /* NULL: it opens one */
	pthread_t thread;
	bool runs;
	int code;
	struct error e;
};

static int read_lease(const struct reading *r, struct grpc_channel *ch, size_t i, struct error *e)
{
	struct owner_lease *lease = &r->leases->items[i];
	int code;

	if (r->o->wanted && !r->o->wanted(lease->id, r->o->user))
		return 0;
	if (clock_monotonic_ns() > r->until_ns)
		return error_set(e, -ETIMEDOUT,
				 "containerd at %s is too slow: %zu of %zu leases were read",
				 r->o->access.socket, i, r->leases->count);
	code = containerd_query_lease_snapshots(ch, lease->id, r->o->snapshotter, &lease->snapshots,
						&lease->count, e);
	lease->gone = code == -ENOENT;
	return lease->gone ? 0 : code;
}

static void *run_reader(void *arg)
{
	struct reader *reader = arg;
	struct reading *r = reader->reading;
	cleanup(grpc_channel_free) struct grpc_channel *own = NULL;
	size_t i;

	if (!reader->ch) {
		reader->code = containerd_client_connect(&r->o->access, &own, &reader->e);
		reader->ch = own;
	}
	while (reader->code == 0 && !atomic_load(&r->failed) &&
	       (i = atomic_fetch_add(&r->next, 1)) < r->leases->count)
		reader->code = read_lease(r, reader->ch, i, &reader->e);
	if (reader->code < 0)
		atomic_store(&r->failed, true);
	return NULL;
}

/* The caller's thread is the first reader, with the channel that is open. */
static int read_all(struct reading *r, struct grpc_channel *ch, struct error *e)
{
	struct reader readers[READERS_MAX] = { { .reading = r, .ch = ch } };
	size_t count = 1;

	while (count < READERS_MAX && count * LEASES_PER_READER < r->leases->count) {
		struct reader *reader = &readers[count++];

		*reader = (struct reader){ .reading = r };
		reader->runs = pthread_create(&reader->thread, NULL, run_reader, reader) == 0;
	}
	(void)run_reader(&readers[0]);
	for (size_t i = 1; i < count; i++)
		if (readers[i].runs)
			(void)pthread_join(readers[i].thread, NULL); /* it is ours */
	for (size_t i = 0; i < count; i++)
		if (readers[i].code < 0)
			return error_set(e, readers[i].code, "%s", readers[i].e.text);
	return 0;
}

static int copy_ids(const Varve__Containerd__ListLeasesReply *reply, struct owner_leases *leases)
{
	leases->items = calloc(reply->n_leases + 1, sizeof(*leases->items));
	leases->by_id = hashmap_new();
	if (!leases->items || !leases->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < reply->n_leases; i++) {
		struct owner_lease *lease = &leases->items[leases->count];

		lease->id = strdup(reply->leases[i]->id);
		if (!lease->id)
			return -ENOMEM;
		leases->count++;
		if (hashmap_insert(leases->by_id, lease->id, lease) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

int owner_leases_read(const struct owner_leases_options *o, struct owner_leases *ret_leases,
		      struct error *e)
{
	cleanup(owner_leases_free) struct owner_leases leases = { 0 };
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	cleanup(free_message) Varve__Containerd__ListLeasesReply *reply = NULL;
	struct reading reading = { .o = o,
				   .leases = &leases,
				   .until_ns = clock_monotonic_ns() + o->limit_ns };
	int code = containerd_client_connect(&o->access, &ch, e);

	if (code < 0)
		return code;
	code = containerd_query_leases(ch, &reply, e);
	if (code < 0)
		return code;
	if (copy_ids(reply, &leases) < 0)
		return error_set(e, -ENOMEM, "out of memory for %zu leases", reply->n_leases);
	code = read_all(&reading, ch, e);
	if (code < 0)
		return code;
	*ret_leases = leases;
	leases = (struct owner_leases){ 0 };
	return 0;
}

const struct owner_lease *owner_leases_find(const struct owner_leases *leases, const char *id)
{
	const struct owner_lease *lease = hashmap_find(leases->by_id, id);

	return lease && !lease->gone ? lease : NULL;
}

void owner_leases_free(struct owner_leases *leases)
{
	for (size_t i = 0; i < leases->count; i++) {
		for (size_t k = 0; k < leases->items[i].count; k++)
			free(leases->items[i].snapshots[k]);
		free(leases->items[i].snapshots);
		free(leases->items[i].id);
	}
	free(leases->items);
	hashmap_free(leases->by_id);
	*leases = (struct owner_leases){ 0 };
}
