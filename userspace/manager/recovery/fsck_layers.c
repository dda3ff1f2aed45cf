/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/fsck_layers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layer/disk_walk.h"
#include "manager/eviction/eviction_candidates.h"
#include "manager/mounts/counter_fold.h"
#include "manager/mounts/mount_elsewhere.h"
#include "manager/records/layer_sizes.h"
#include "manager/records/record_delete.h"
#include "manager/state/store_files.h"

/* What is to be looked at without the lock. */
struct layer_check {
	char id[RECORD_ID_LENGTH + 1];
	char layer[LAYER_NAME_LENGTH + 1];
	bool sized; /* the size is of now, and should be right */
	uint64_t upper_changes;
	struct disk_usage size;
};

static bool is_written(const struct record *r)
{
	return (r->mount && r->mount->writable) || layer_sizes_is_open(r);
}

static int list_layers(struct fsck *c, struct layer_check **ret_layers, size_t *ret_count)
{
	struct manager *m = c->m;
	struct layer_check *layers;
	size_t count = 0, at = 0;
	struct record *r;

	manager_lock(m);
	layers = calloc(record_graph_count(m->graph) + 1, sizeof(*layers));
	while (layers && (r = record_graph_next(m->graph, &at))) {
		struct layer_check *l = &layers[count];

		if (!record_is_listed(r) || r->busy || r->layer->lazy || r->extractions > 0)
			continue;
		memcpy(l->id, r->id, sizeof(l->id));
		memcpy(l->layer, r->layer->name, sizeof(l->layer));
		l->sized = r->layer->size_known && !is_written(r) &&
			   !(r->twin && is_written(r->twin));
		l->upper_changes = r->layer->upper_changes;
		l->size = (struct disk_usage){ .allocated_bytes = r->layer->allocated_bytes,
					       .apparent_bytes = r->layer->apparent_bytes,
					       .inodes = r->layer->inodes };
		count++;
	}
	manager_unlock(m);
	if (!layers)
		return -ENOMEM;
	*ret_layers = layers;
	*ret_count = count;
	return 0;
}

/* With the lock: the record as it was when it was looked at; NULL when that is no longer so. */
static struct record *find_unchanged(struct fsck *c, const struct layer_check *l)
{
	struct record *r = record_graph_find(c->m->graph, l->id);

	manager_assert_locked(c->m);
	if (!r || r->busy || strcmp(r->layer->name, l->layer) != 0 ||
	    r->layer->upper_changes != l->upper_changes)
		return NULL;
	return r;
}

/* With the lock: the record and all on top of it, children first. False when one of them is in use;
 * *ret_records is the caller's to free in any case. */
static bool collect_subtree(struct fsck *c, struct record *top, struct record ***ret_records,
			    size_t *ret_count)
{
	struct record **records = calloc(record_graph_count(c->m->graph) + 1, sizeof(*records));
	size_t count = 0;
	bool free = records != NULL;

	manager_assert_locked(c->m);
	*ret_records = records;
	*ret_count = 0;
	if (!records)
		return false;
	/* Parents first, and then turned round. */
	records[count++] = top;
	for (size_t i = 0; i < count; i++) {
		const struct record *r = records[i];

		free = free && eviction_candidates_is_free(r);
		for (struct record *child = r->first_child; child; child = child->next_sibling)
			if (record_is_listed(child))
				records[count++] = child;
	}
	for (size_t i = 0; i < count / 2; i++) {
		struct record *r = records[i];

		records[i] = records[count - 1 - i];
		records[count - 1 - i] = r;
	}
	*ret_count = count;
	return free;
}

/* Reserves the record and all on top of it. */
static int reserve_subtree(struct fsck *c, const struct layer_check *l,
			   struct record ***ret_records, size_t *ret_count, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(c->m);
	struct record *r = find_unchanged(c, l);

	manager_assert_locked(locked);
	if (!r)
		return error_set(e, -EBUSY, "it has changed meanwhile");
	if (!collect_subtree(c, r, ret_records, ret_count))
		return error_set(e, *ret_records ? -EBUSY : -ENOMEM,
				 "it, or a record on top of it, is held, mounted or pinned");
	for (size_t i = 0; i < *ret_count; i++)
		manager_reserve((*ret_records)[i]);
	return 0;
}

static void unreserve_all(struct fsck *c, struct record *const *records, size_t count)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(c->m);

	for (size_t i = 0; i < count; i++)
		manager_unreserve(locked, records[i]);
}

static int delete_subtree(struct fsck *c, const struct layer_check *l, struct error *e)
{
	cleanup(free_ptr) struct record **records = NULL;
	size_t count = 0;
	int code = reserve_subtree(c, l, &records, &count, e);

	if (code < 0)
		return code;
	code = record_delete_reserved(c->m, records, count, e);
	if (code < 0)
		unreserve_all(c, records, count);
	return code;
}

static bool is_unchanged(struct fsck *c, const struct layer_check *l)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(c->m);

	manager_assert_locked(locked);
	return find_unchanged(c, l);
}

static int missing_layer(struct fsck *c, const struct layer_check *l)
{
	struct error late = { 0 };
	bool deleted;

	if (!is_unchanged(c, l))
		return 0;
	deleted = c->o->repair && delete_subtree(c, l, &late) == 0;
	return fsck_report(c, "missing-layer", l->id, deleted,
			   "layers/%s/fs of this record is not there%s%s", l->layer,
			   *late.text ? ": " : "", late.text);
}

/* Sets *remeasure when the size is to be mended. */
static int check_size(struct fsck *c, const struct layer_check *l, int fd, bool *remeasure)
{
	struct disk_usage now;
	struct record *r;
	bool wrong;

	if (disk_walk(fd, c->o->cancelled, &now, NULL) < 0 ||
	    (now.allocated_bytes == l->size.allocated_bytes &&
	     now.apparent_bytes == l->size.apparent_bytes && now.inodes == l->size.inodes))
		return 0;
	manager_lock(c->m);
	r = find_unchanged(c, l);
	wrong = r && r->layer->size_known && !is_written(r);
	if (wrong && c->o->repair)
		r->layer->size_known = false;
	manager_unlock(c->m);
	if (!wrong)
		return 0;
	*remeasure |= c->o->repair;
	return fsck_report(c, "wrong-size", l->id, c->o->repair,
			   "layer %s takes %" PRId64 " bytes in %" PRId64 " files, not %" PRId64
			   " in %" PRId64,
			   l->layer, now.allocated_bytes, now.inodes, l->size.allocated_bytes,
			   l->size.inodes);
}

static int check_link(struct fsck *c, const struct layer_check *l)
{
	char link[FSCK_PATH_SIZE], target[STORE_FILES_PATH_SIZE], present[FSCK_PATH_SIZE] = "";
	bool repaired;

	(void)snprintf(link, sizeof(link), "l/%s", l->layer);
	store_files_link_target(l->layer, target);
	if (readlinkat(c->m->root_fd, link, present, sizeof(present) - 1) >= 0 &&
	    strcmp(present, target) == 0)
		return 0;
	if (!is_unchanged(c, l))
		return 0;
	repaired = c->o->repair && store_files_link(c->m, l->layer, NULL) >= 0;
	return fsck_report(c, "broken-link", link, repaired, "it does not lead to %s", target + 3);
}

static int check_layer(struct fsck *c, const struct layer_check *l, bool *remeasure)
{
	cleanup(close_fd) int fd = -EBADF;
	int code;

	if (store_files_open_layer(c->m, l->layer, &fd, NULL) == -ENOENT)
		return missing_layer(c, l);
	code = check_link(c, l);
	return code == 0 && l->sized && fd >= 0 ? check_size(c, l, fd, remeasure) : code;
}

int fsck_layers_check(struct fsck *c, struct error *e)
{
	cleanup(free_ptr) struct layer_check *layers = NULL;
	bool remeasure = false;
	size_t count = 0;
	int code;

	mount_elsewhere_find(c->m);
	counter_fold(c->m); /* so that no change is taken for a wrong size */
	code = list_layers(c, &layers, &count);
	if (code < 0)
		return code;
	for (size_t i = 0; i < count; i++) {
		code = fsck_is_cancelled(c) ? -ECANCELED : check_layer(c, &layers[i], &remeasure);
		if (code < 0)
			return code;
		c->summary.records++;
	}
	return remeasure ? layer_sizes_measure(c->m, c->o->cancelled, e) : 0;
}
