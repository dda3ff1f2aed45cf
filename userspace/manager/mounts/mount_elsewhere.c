/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/mount_elsewhere.h"

#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "overlay/layer_mounts.h"
#include "overlay/overlay_superblock.h"

/* With the lock: whether any layer was handed out; those that are containerd's to remove count with
 * `snapshots`. */
static bool has_handed_out(struct manager *m, bool snapshots)
{
	const struct record *r;
	size_t at = 0;

	manager_assert_locked(m);
	while ((r = record_graph_next(m->graph, &at)))
		if ((snapshots || !r->snapshot) && r->layer->handed_out)
			return true;
	return false;
}

/* Names of layers, each with a NUL at its end. */
static void note_name(const char *layer, dev_t device, void *user)
{
	(void)device;
	strbuf_append_bytes(user, layer, strlen(layer) + 1);
}

static void find(struct manager *m, bool snapshots)
{
	cleanup(strbuf_free) struct strbuf names = { 0 };
	struct layer *layer;
	bool wanted;

	manager_lock(m);
	wanted = has_handed_out(m, snapshots);
	manager_unlock(m);
	if (wanted)
		layer_mounts_visit(m->root, note_name, &names);

	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	for (size_t at = 0; (layer = record_graph_next_layer(locked->graph, &at));)
		layer->elsewhere = layer->handed_out && strbuf_failed(&names);
	for (size_t at = 0; at < names.length; at += strlen(names.text + at) + 1) {
		layer = record_graph_find_layer(locked->graph, names.text + at);
		if (layer && layer->handed_out)
			layer->elsewhere = true;
	}
}

void mount_elsewhere_find(struct manager *m)
{
	find(m, false);
}

void mount_elsewhere_find_snapshots(struct manager *m)
{
	find(m, true);
}

struct search {
	const struct record *const *records;
	size_t count;
	const struct record *found;
	dev_t device;
};

static void look_for_layer(const char *layer, dev_t device, void *user)
{
	struct search *s = user;

	for (size_t i = 0; i < s->count && !s->found; i++)
		if (s->records[i]->layer->handed_out &&
		    strcmp(s->records[i]->layer->name, layer) == 0) {
			s->found = s->records[i];
			s->device = device;
		}
}

int mount_elsewhere_refuse(struct manager *m, struct record *const *records, size_t count,
			   struct error *e)
{
	struct search s = { .records = (const struct record *const *)records, .count = count };
	char text[RECORD_ID_LENGTH + 32];
	size_t handed_out = 0;

	manager_assert_unlocked(m);
	for (size_t i = 0; i < count; i++)
		handed_out += records[i]->layer->handed_out;
	if (handed_out > 0)
		layer_mounts_visit(m->root, look_for_layer, &s);
	if (!s.found)
		return 0;
	(void)snprintf(text, sizeof(text), "a mount of record %s", s.found->id);
	return overlay_superblock_refuse_busy(text, s.device, e);
}
