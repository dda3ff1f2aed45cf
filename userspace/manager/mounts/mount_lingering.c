/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/mount_lingering.h"

#include <stdio.h>
#include <string.h>

#include "overlay/overlay_superblock.h"
#include "overlay/superblock_watch.h"

void mount_lingering_watch(struct manager *m, struct mount *mount, const char *name)
{
	/* What cannot be watched is asked for: mount_lingering_check(). */
	if (overlay_superblock_device(m->mounts_fd, name, &mount->device, NULL) < 0 ||
	    superblock_watch_add(m->superblocks, m->mounts_fd, name, &mount->watch, NULL) < 0)
		mount->watch = 0;
}

void mount_lingering_unwatch(struct manager *m, struct mount *mount)
{
	if (mount->watch)
		superblock_watch_remove(m->superblocks, mount->watch);
	mount->watch = 0;
}

/* With the lock. */
static void count_layers(struct manager *m, const struct mount *mount, bool more)
{
	manager_assert_locked(m);
	for (size_t i = mount->writable ? 0 : 1; i < mount->layer_count; i++) {
		struct layer *layer = record_graph_find_layer(m->graph, mount->layers[i].name);

		if (layer && more)
			layer->lingering++;
		else if (layer && layer->lingering > 0)
			layer->lingering--;
	}
}

void mount_lingering_begin(struct manager *m, struct mount *mount)
{
	manager_assert_locked(m);
	mount->record = NULL;
	mount->lingers = true;
	count_layers(m, mount, true);
}

/* With the lock: the last fold may come. */
static void end(struct manager *m, struct mount *mount)
{
	manager_assert_locked(m);
	mount->lingers = false;
	mount->watch = 0;
	count_layers(m, mount, false);
	usage_bpf_retire(m->usage, mount->id);
}

void mount_lingering_update(struct manager *m)
{
	manager_assert_locked(m);
	for (struct mount *mount = m->mounts; mount; mount = mount->next)
		if (mount->lingers && mount->watch &&
		    superblock_watch_is_gone(m->superblocks, mount->watch))
			end(m, mount);
}

/* ---- without a watch ---- */

/* A copy of what is known of one mount, to ask with while others may change the list. */
struct question {
	uint64_t id;
	bool writable, read_only;
	dev_t device;
	char layer[LAYER_NAME_LENGTH + 1];
};

/* With the lock: the mount with the lowest id above `id` that has to be asked for. */
static bool next_question(struct manager *m, uint64_t id, struct question *ret_question)
{
	const struct mount *next = NULL;

	manager_assert_locked(m);
	for (const struct mount *mount = m->mounts; mount; mount = mount->next)
		if (mount->lingers && !mount->watch && mount->id > id &&
		    (!next || mount->id < next->id))
			next = mount;
	if (!next)
		return false;
	*ret_question = (struct question){ .id = next->id,
					   .writable = next->writable,
					   .device = next->device };
	memcpy(ret_question->layer, next->layers[next->writable ? 0 : 1].name,
	       sizeof(ret_question->layer));
	return true;
}

/* Whether the superblock is still there; what cannot be known counts as there. */
static bool ask(struct manager *m, struct question *q)
{
	struct overlay_superblock_facts facts;
	bool in_use;

	if (q->device && !overlay_superblock_exists(q->device))
		return false;
	facts = overlay_superblock_find(q->device, m->root, q->layer);
	if (facts.is_another)
		return false;
	if (facts.device && !facts.is_guess) {
		q->device = facts.device;
		q->read_only = facts.read_only;
		return true;
	}
	if (q->writable &&
	    overlay_probe_upper_in_use(m->root_fd, &m->features, q->layer, &in_use, NULL) == 0)
		return in_use;
	return q->device != 0 || facts.is_guess;
}

void mount_lingering_check(struct manager *m)
{
	struct question q = { 0 };

	ranked_lock_acquire(&m->trial_lock);
	manager_lock(m);
	while (next_question(m, q.id, &q)) {
		bool there;

		manager_unlock(m);
		there = ask(m, &q);
		manager_lock(m);
		for (struct mount *mount = m->mounts; mount; mount = mount->next) {
			if (mount->id != q.id || !mount->lingers)
				continue;
			mount->device = q.device;
			mount->read_only |= q.read_only;
			if (!there)
				end(m, mount);
		}
	}
	manager_unlock(m);
	ranked_lock_release(&m->trial_lock);
}

/* ---- refusals ---- */

static bool has_layer(const struct mount *mount, const char *layer)
{
	for (size_t i = mount->writable ? 0 : 1; i < mount->layer_count; i++)
		if (strcmp(mount->layers[i].name, layer) == 0)
			return true;
	return false;
}

int mount_lingering_refuse(struct manager *m, const struct record *r, bool writers_only,
			   struct error *e)
{
	const struct mount *found = NULL;
	char text[RECORD_ID_LENGTH + 32];
	dev_t device = 0;

	manager_lock(m);
	if (r->layer->lingering)
		mount_lingering_update(m);
	for (const struct mount *mount = r->layer->lingering ? m->mounts : NULL; mount && !found;
	     mount = mount->next)
		if (mount->lingers &&
		    (writers_only ? mount->writable && !mount->read_only &&
					    strcmp(mount->layers[0].name, r->layer->name) == 0
				  : has_layer(mount, r->layer->name)))
			found = mount;
	if (found)
		device = found->device;
	manager_unlock(m);
	if (!found)
		return 0;
	if (!device) /* to name processes, a guess is good enough */
		device = overlay_superblock_find(0, m->root, r->layer->name).device;
	(void)snprintf(text, sizeof(text), "a mount of record %s", r->id);
	return overlay_superblock_refuse_busy(text, device, e);
}
