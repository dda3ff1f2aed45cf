/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/owner_prune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/hashmap.h"
#include "manager/eviction/eviction_steps.h"
#include "owners/clients/buildkit_client.h"
#include "owners/clients/message_call.h"

/* containerd collects the snapshots of removed records after the owner's answer: how long none may
 * disappear before they are no longer waited for. */
#define COLLECTION_NS (5 * NS_PER_S)
#define LOOK_NS (NS_PER_S / 20)

/* A prune under way. */
struct run {
	struct owner_pruning *p;
	struct grpc_channel *ch;
	bool *went; /* by step: the owner has removed the record */
};

static int tell(struct owner_pruning *p, const struct owner_step *s, const char *refused)
{
	char reason[EVICTION_STEPS_TEXT] = "";
	struct owner_outcome outcome = {
		.owner = p->plan->owner, .step = s, .refused = refused, .reason = reason
	};

	eviction_steps_explain(&s->planned, reason);
	if (refused) {
		p->refused++;
		p->refused_bytes += s->planned.record.shared ? 0 : s->planned.record.size_bytes;
	}
	return p->stepped(&outcome, p->user);
}

int owner_prune_show(struct owner_pruning *p, struct error *e)
{
	for (size_t i = 0; i < p->plan->count; i++) {
		int code = cancellation_check(p->cancelled, e);

		if (code == 0)
			code = tell(p, &p->plan->steps[i], NULL);
		if (code < 0)
			return code;
	}
	return 0;
}

/* Why the owner has removed nothing; NULL: the record has been removed meanwhile. */
static int find_refusal(struct grpc_channel *ch, const struct owner_step *s,
			const char **ret_refused, struct error *e)
{
	cleanup(free_message) Moby__Buildkit__V1__DiskUsageResponse *usage = NULL;
	int code = buildkit_client_usage(ch, s->id, &usage, e);

	if (code < 0)
		return code;
	*ret_refused = NULL;
	for (size_t i = 0; i < usage->n_record; i++) {
		const Moby__Buildkit__V1__UsageRecord *r = usage->record[i];

		if (strcmp(r->id, s->id) != 0)
			continue;
		*ret_refused = r->in_use   ? "the owner uses it"
			       : r->shared ? "an image shares it (--all)"
					   : "the owner refuses, without a reason: it may have "
					     "records on top of it";
	}
	return 0;
}

static int take_step(struct run *run, size_t i, struct error *e)
{
	struct owner_pruning *p = run->p;
	const struct owner_step *s = &p->plan->steps[i];
	struct buildkit_pruned pruned = { 0 };
	const char *refused = NULL;
	int code = cancellation_check(p->cancelled, e);

	if (code < 0)
		return code;
	if (eviction_owned_fingerprint(p->m, s->record) != s->planned.fingerprint)
		return tell(p, s, "it was used or changed since the plan was made");
	code = buildkit_client_prune(run->ch, s->id, p->plan->all, &pruned, e);
	if (code < 0)
		return code;
	p->others += pruned.others;
	if (!pruned.done)
		code = find_refusal(run->ch, s, &refused, e);
	if (code < 0)
		return code;
	run->went[i] = !refused;
	return tell(p, s, refused);
}

/* ---- afterwards ---- */

/* What the owner says it has removed, and lists all the same. */
static int look_again(struct run *run, struct error *e)
{
	struct owner_pruning *p = run->p;
	cleanup(free_message) Moby__Buildkit__V1__DiskUsageResponse *usage = NULL;
	cleanup(hashmap_free) struct hashmap *listed = hashmap_new();
	int code = listed ? buildkit_client_usage(run->ch, NULL, &usage, e)
			  : error_set(e, -ENOMEM, "out of memory");

	if (code < 0)
		return code;
	for (size_t i = 0; i < usage->n_record; i++)
		if (hashmap_insert(listed, usage->record[i]->id, usage->record[i]) == -ENOMEM)
			return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->plan->count; i++) {
		const struct owner_step *s = &p->plan->steps[i];

		if (!run->went[i] || !hashmap_find(listed, s->id))
			continue;
		run->went[i] = false;
		p->returned++;
		p->refused_bytes += s->planned.record.shared ? 0 : s->planned.record.size_bytes;
	}
	return 0;
}

/* How many snapshots of removed records containerd still has. */
static size_t count_uncollected(const struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < run->p->plan->count; i++)
		count += run->went[i] &&
			 eviction_owned_has_snapshot(run->p->m, run->p->plan->steps[i].record);
	return count;
}

static void wait_for_collection(const struct run *run)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	size_t left = count_uncollected(run);
	int64_t until_ns = clock_monotonic_ns() + COLLECTION_NS;

	while (left > 0 && clock_monotonic_ns() < until_ns && !is_cancelled(run->p->cancelled)) {
		size_t now;

		(void)nanosleep(&pause, NULL);
		now = count_uncollected(run);
		if (now != left)
			until_ns = clock_monotonic_ns() + COLLECTION_NS;
		left = now;
	}
}

/* Layers that are needed by others, or kept as a cache, are still there. */
static void count_freed(const struct run *run)
{
	struct owner_pruning *p = run->p;

	wait_for_collection(run);
	eviction_owned_settle(p->m);
	for (size_t i = 0; i < p->plan->count; i++)
		if (run->went[i] && !eviction_owned_has_layer(p->m, p->plan->steps[i].layer))
			p->freed_bytes += p->plan->steps[i].planned.record.size_bytes;
}

int owner_prune_run(struct owner_pruning *p, struct error *e)
{
	cleanup(free_ptr) bool *went = calloc(p->plan->count + 1, sizeof(*went));
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	struct run run = { .p = p, .went = went };
	int code = 0;

	if (!went)
		return error_set(e, -ENOMEM, "out of memory");
	code = owner_answer_connect(p->settings, p->cancelled, &ch, e);
	run.ch = ch;
	for (size_t i = 0; i < p->plan->count && code == 0; i++)
		code = take_step(&run, i, e);
	if (code == 0 && p->plan->count > 0)
		code = look_again(&run, e);
	count_freed(&run);
	return code;
}
