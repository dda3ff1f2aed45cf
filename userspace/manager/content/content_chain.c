/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_chain.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "manager/content/content_blobs.h"

#define LOOK_NS (NS_PER_S / 10) /* how often one who waits looks whether it was cancelled */

/* With the given lock: woken, or a moment later. */
void content_chain_wait(struct ranked_lock *lock, pthread_cond_t *condition)
{
	/* The caller looks at what it waits for. */
	(void)ranked_lock_wait_until(lock, condition, clock_monotonic_ns() + LOOK_NS);
}

static bool somebody_works_on(const struct record *r)
{
	for (; r; r = r->parent)
		if (r->busy)
			return true;
	return false;
}

/* With the lock. */
int content_chain_list(struct record *r, struct content_chain *job)
{
	size_t room = record_graph_depth(r);

	manager_assert_locked(job->m);
	/* What falls back to lazy at the moment will be found so. */
	while (somebody_works_on(r))
		manager_wait(job->m);

	job->layers = calloc(room, sizeof(*job->layers));
	job->chain = calloc(room, sizeof(*job->chain));
	if (!job->layers || !job->chain)
		return -ENOMEM;
	for (const struct record *at = r; at; at = at->parent)
		job->count += at->layer->lazy;
	for (size_t i = job->count; r; r = r->parent) {
		memcpy(job->chain[--room], r->layer->name, sizeof(job->chain[room]));
		if (!r->layer->lazy)
			continue;
		i--;
		job->layers[i].below = room;
		memcpy(job->layers[i].layer, r->layer->name, sizeof(job->layers[i].layer));
		job->layers[i].content = record_content_copy(r->content);
		if (!job->layers[i].content)
			return -ENOMEM;
	}
	return 0;
}

int content_chain_pin(struct content_chain *job)
{
	for (size_t i = 0; i < job->count; i++) {
		if (content_blobs_pin(job->m, &job->layers[i].content->blob) < 0)
			return -ENOMEM;
		job->layers[i].pinned = true;
	}
	return 0;
}

void content_chain_free(struct content_chain *job)
{
	for (size_t i = 0; job->layers && i < job->count; i++) {
		if (job->layers[i].pinned)
			content_blobs_unpin(job->m, &job->layers[i].content->blob);
		record_content_free(job->layers[i].content);
	}
	free(job->layers);
	free(job->chain);
	content_progress_free(job->progress);
	ranked_lock_destroy(&job->lock);
	pthread_cond_destroy(&job->changed);
}
