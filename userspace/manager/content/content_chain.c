/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_chain.h"

#include <errno.h>
#include <string.h>

#include "manager/content/content_missing.h"

static bool is_worked_on(const struct record *r)
{
	for (; r; r = r->parent)
		if (r->busy)
			return true;
	return false;
}

static int copy_layer(const struct record *r, size_t below, struct content_chain_layer *l)
{
	l->below = below;
	memcpy(l->layer, r->layer->name, sizeof(l->layer));
	memcpy(l->record, r->id, sizeof(l->record));
	l->content = record_content_copy(r->content);
	return l->content ? 0 : -ENOMEM;
}

/* With the lock. */
static int copy_chain(const struct record *r, struct content_chain *chain)
{
	size_t room = record_graph_depth(r), lacking = 0;

	manager_assert_locked(chain->m);
	chain->layers = calloc(room, sizeof(*chain->layers));
	chain->names = calloc(room, sizeof(*chain->names));
	if (!chain->layers || !chain->names)
		return -ENOMEM;
	for (const struct record *at = r; at; at = at->parent)
		lacking += at->layer->lazy;
	chain->count = lacking;
	for (; r; r = r->parent) {
		memcpy(chain->names[--room], r->layer->name, sizeof(chain->names[room]));
		if (!r->layer->lazy)
			continue;
		if (copy_layer(r, room, &chain->layers[--lacking]) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int find_chain(struct record *r, bool without_blobs, struct content_chain *chain,
		      struct error *e)
{
	cleanup(manager_unlock) struct manager *m = manager_lock(chain->m);

	/* What is falling back to lazy at the moment will be lazy when it is copied. */
	while (is_worked_on(r))
		manager_wait(m);
	if (copy_chain(r, chain) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return without_blobs ? 0 : content_missing_check(m, r, NULL, e);
}

int content_chain_open(struct manager *m, struct record *r, const struct content_watch *watch,
		       bool without_blobs, struct content_chain *ret_chain, struct error *e)
{
	int code;

	manager_assert_unlocked(m);
	ret_chain->m = m;
	ret_chain->progress = content_progress_new(watch);
	if (!ret_chain->progress)
		return error_set(e, -ENOMEM, "out of memory");
	code = find_chain(r, without_blobs, ret_chain, e);
	if (code < 0)
		return code;
	for (size_t i = 0; i < ret_chain->count; i++) {
		struct content_chain_layer *l = &ret_chain->layers[i];

		code = content_blobs_pin(m, &l->content->blob, &l->pin, e);
		if (code < 0)
			return code;
	}
	return 0;
}

void content_chain_close(struct content_chain *chain)
{
	for (size_t i = 0; chain->layers && i < chain->count; i++) {
		content_blobs_unpin(&chain->layers[i].pin);
		record_content_free(chain->layers[i].content);
	}
	free(chain->layers);
	free(chain->names);
	content_progress_free(chain->progress);
	*chain = (struct content_chain){ .m = NULL };
}
