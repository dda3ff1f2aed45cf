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
#include "owners/image_remove.h"

/* containerd collects the snapshots of removed records after the owner's answer: how long none may
 * disappear before they are no longer waited for. */
#define COLLECTION_NS (5 * NS_PER_S)
#define LOOK_NS (NS_PER_S / 20)

/* A prune under way. */
struct run {
	struct owner_pruning *p;
	struct grpc_channel *ch; /* to the owner's cache; NULL: not needed yet */
	struct image_remover *images; /* the same for its images */
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

static int connect_cache(struct run *run, struct error *e)
{
	const struct owner_question *q = run->p->question;

	return run->ch ? 0 : owner_answer_connect(q->owner, q->cancelled, &run->ch, e);
}

static int prune_cached(struct run *run, const struct owner_step *s, const char **ret_refused,
			struct error *e)
{
	struct owner_pruning *p = run->p;
	struct buildkit_pruned pruned = { 0 };
	int code = connect_cache(run, e);

	if (code < 0)
		return code;
	code = buildkit_client_prune(run->ch, s->id, p->plan->all, &pruned, e);
	if (code < 0)
		return code;
	p->others += pruned.others;
	*ret_refused = NULL;
	return pruned.done ? 0 : find_refusal(run->ch, s, ret_refused, e);
}

static int remove_image(struct run *run, const struct owner_step *s, const char **ret_refused,
			struct error *e)
{
	int code = run->images ? 0 : image_remover_new(run->p->question, &run->images, e);

	return code < 0 ? code : image_remover_remove(run->images, s, ret_refused, e);
}

static int take_step(struct run *run, size_t i, struct error *e)
{
	struct owner_pruning *p = run->p;
	const struct owner_step *s = &p->plan->steps[i];
	const char *refused = NULL;
	int code = cancellation_check(p->cancelled, e);

	if (code < 0)
		return code;
	if (owner_step_is_stale(p->m, s))
		return tell(p, s, "it was used or changed since the plan was made");
	code = s->namespace ? remove_image(run, s, &refused, e) : prune_cached(run, s, &refused, e);
	if (code < 0)
		return code;
	run->went[i] = !refused;
	return tell(p, s, refused);
}

/* ---- afterwards ---- */

static void note_return(struct run *run, size_t i)
{
	struct owner_pruning *p = run->p;
	const struct prune_record *r = &p->plan->steps[i].planned.record;

	run->went[i] = false;
	p->returned++;
	p->refused_bytes += r->shared ? 0 : r->size_bytes;
}

/* Records that the owner says it has removed, and lists all the same. */
static int look_at_cache(struct run *run, struct error *e)
{
	cleanup(free_message) Moby__Buildkit__V1__DiskUsageResponse *usage = NULL;
	cleanup(hashmap_free) struct hashmap *listed = hashmap_new();
	int code = listed ? buildkit_client_usage(run->ch, NULL, &usage, e)
			  : error_set(e, -ENOMEM, "out of memory");

	if (code < 0)
		return code;
	for (size_t i = 0; i < usage->n_record; i++)
		if (hashmap_insert(listed, usage->record[i]->id, usage->record[i]) == -ENOMEM)
			return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < run->p->plan->count; i++)
		if (run->went[i] && !run->p->plan->steps[i].namespace &&
		    hashmap_find(listed, run->p->plan->steps[i].id))
			note_return(run, i);
	return 0;
}

static int look_at_images(struct run *run, struct error *e)
{
	int code = 0;

	for (size_t i = 0; code >= 0 && i < run->p->plan->count; i++) {
		const struct owner_step *s = &run->p->plan->steps[i];

		if (!run->went[i] || !s->namespace)
			continue;
		code = image_remover_is_listed(run->images, s, e);
		if (code == 1)
			note_return(run, i);
	}
	return code < 0 ? code : 0;
}

static int look_again(struct run *run, struct error *e)
{
	int code = run->ch ? look_at_cache(run, e) : 0;

	return code < 0 || !run->images ? code : look_at_images(run, e);
}

/* How many snapshots of what was removed containerd still has. */
static size_t count_uncollected(const struct run *run)
{
	size_t count = 0;

	for (size_t i = 0; i < run->p->plan->count; i++) {
		const struct owner_step *s = &run->p->plan->steps[i];

		for (size_t k = 0; run->went[i] && k < s->layer_count; k++)
			count += s->layers[k].size_bytes > 0 &&
				 eviction_owned_has_snapshot(run->p->m, s->layers[k].record);
	}
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
	for (size_t i = 0; i < p->plan->count; i++) {
		const struct owner_step *s = &p->plan->steps[i];

		for (size_t k = 0; run->went[i] && k < s->layer_count; k++)
			if (!eviction_owned_has_layer(p->m, s->layers[k].layer))
				p->freed_bytes += s->layers[k].size_bytes;
	}
}

static void run_end(struct run *run)
{
	grpc_channel_free(run->ch);
	image_remover_free(run->images);
	free(run->went);
}
DEFINE_CLEANUP_VALUE(struct run, run_end)

int owner_prune_run(struct owner_pruning *p, struct error *e)
{
	cleanup(run_end) struct run run = { .p = p };
	int code = 0;

	run.went = calloc(p->plan->count + 1, sizeof(*run.went));
	if (!run.went)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->plan->count && code == 0; i++)
		code = take_step(&run, i, e);
	if (code == 0)
		code = look_again(&run, e);
	count_freed(&run);
	return code;
}
