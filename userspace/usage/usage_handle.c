// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_handle.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

#define CELLS_PER_BATCH 2048 /* more than any bucket of the map has */

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = ((const struct usage_mount *)a)->id, y = ((const struct usage_mount *)b)->id;

	return (x > y) - (x < y);
}

struct usage_mount *usage_handle_find_mount(struct usage_bpf *u, uint64_t id)
{
	struct usage_mount key = { .id = id };

	return u->mount_count ? bsearch(&key, u->mounts, u->mount_count, sizeof(key), compare_ids)
			      : NULL;
}

struct usage_mount *usage_handle_add_mount(struct usage_bpf *u, uint64_t id)
{
	struct usage_mount *grown =
		vec_reserve(u->mounts, &u->mount_capacity, u->mount_count + 1, sizeof(*u->mounts));
	size_t place = u->mount_count;

	if (!grown)
		return NULL;
	u->mounts = grown;
	while (place > 0 && grown[place - 1].id > id)
		place--; /* seldom: ids grow */
	memmove(&grown[place + 1], &grown[place], (u->mount_count - place) * sizeof(*grown));
	grown[place] = (struct usage_mount){ .id = id };
	u->mount_count++;
	return &grown[place];
}

void usage_handle_remove_mount(struct usage_bpf *u, struct usage_mount *mount)
{
	u->mount_count--;
	memmove(mount, mount + 1, (u->mount_count - (size_t)(mount - u->mounts)) * sizeof(*mount));
}

uint64_t *usage_handle_owners(struct usage_bpf *u, size_t *ret_count)
{
	uint64_t *copy;
	size_t count = 0;

	(void)pthread_mutex_lock(&u->lock);
	copy = calloc(u->mount_count + u->owner_count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < u->mount_count; i++)
		copy[count++] = u->mounts[i].id;
	/* Their bit makes all of them greater than the mounts' ids. */
	if (copy && u->owner_count)
		memcpy(&copy[count], u->owners, u->owner_count * sizeof(*copy));
	*ret_count = count + u->owner_count;
	(void)pthread_mutex_unlock(&u->lock);
	return copy;
}

/* The place of the first owner that is not less. */
static size_t find_owner(const struct usage_bpf *u, uint64_t owner)
{
	size_t low = 0, high = u->owner_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (u->owners[middle] < owner)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_owner(const struct usage_bpf *u, uint64_t owner)
{
	size_t place = find_owner(u, owner);

	return place < u->owner_count && u->owners[place] == owner;
}

int usage_handle_add_owner(struct usage_bpf *u, uint64_t owner)
{
	uint64_t *grown =
		vec_reserve(u->owners, &u->owner_capacity, u->owner_count + 1, sizeof(*u->owners));
	size_t place;

	if (!grown)
		return -ENOMEM;
	u->owners = grown;
	place = find_owner(u, owner); /* the end, but for those of an earlier agent */
	memmove(&grown[place + 1], &grown[place], (u->owner_count - place) * sizeof(*grown));
	grown[place] = owner;
	u->owner_count++;
	return 0;
}

void usage_handle_remove_owner(struct usage_bpf *u, uint64_t owner)
{
	size_t place = find_owner(u, owner);

	if (!has_owner(u, owner))
		return;
	u->owner_count--;
	memmove(&u->owners[place], &u->owners[place + 1],
		(u->owner_count - place) * sizeof(*u->owners));
}

bool usage_handle_knows(struct usage_bpf *u, uint64_t owner)
{
	bool known;

	(void)pthread_mutex_lock(&u->lock);
	known = owner & USAGE_LAYER_OWNER ? has_owner(u, owner)
					  : usage_handle_find_mount(u, owner) != NULL;
	(void)pthread_mutex_unlock(&u->lock);
	return known;
}

void usage_parts_free(struct usage_parts *parts)
{
	free(parts->keys);
	free(parts->counts);
}

static int reserve_parts(struct usage_parts *parts, size_t count)
{
	size_t capacity = parts->capacity;
	struct usage_cell_key *keys =
		vec_reserve(parts->keys, &capacity, count, sizeof(*parts->keys));
	struct usage_counts *counts;

	if (!keys)
		return -ENOMEM;
	parts->keys = keys;
	capacity = parts->capacity;
	counts = vec_reserve(parts->counts, &capacity, count, sizeof(*parts->counts));
	if (!counts)
		return -ENOMEM;
	parts->counts = counts;
	parts->capacity = capacity;
	return 0;
}

int usage_handle_read_parts(struct usage_bpf *u, struct usage_parts *ret_parts, struct error *e)
{
	cleanup(usage_parts_free) struct usage_parts parts = { .count = 0 };
	uint32_t position = 0;
	bool last = false;

	if (reserve_parts(&parts, u->cells_seen) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	for (bool first = true; !last; first = false) {
		uint32_t count = CELLS_PER_BATCH;

		if (reserve_parts(&parts, parts.count + count) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		if (bpf_map_lookup_batch(u->maps.cells, first ? NULL : &position, &position,
					 &parts.keys[parts.count], &parts.counts[parts.count],
					 &count, NULL) < 0) {
			if (errno != ENOENT)
				return error_set(e, -errno, "read the counters: %s",
						 strerror(errno));
			last = true;
		}
		parts.count += count;
	}
	*ret_parts = parts;
	parts = (struct usage_parts){ .count = 0 };
	return 0;
}

int usage_handle_walk_cells(struct usage_bpf *u,
			    int (*visit)(const struct usage_cell_key *key,
					 const struct usage_counts *counts, void *user),
			    void *user, struct error *e)
{
	cleanup(usage_parts_free) struct usage_parts parts = { .count = 0 };
	int code = usage_handle_read_parts(u, &parts, e);

	for (size_t i = 0; i < parts.count && code == 0; i++)
		code = visit(&parts.keys[i], &parts.counts[i], user);
	return code;
}

void usage_handle_delete_cells(struct usage_bpf *u, const struct usage_mount *mount)
{
	struct usage_cell_key key = { .owner = mount->id };

	for (uint32_t layer = 0; layer < mount->layer_count; layer++)
		for (key.part = 0; key.part < u->part_count; key.part++) {
			key.layer = layer;
			(void)bpf_map_delete_elem(u->maps.cells, &key); /* there may be none */
			key.layer |= USAGE_UPKEEP;
			(void)bpf_map_delete_elem(u->maps.cells, &key);
		}
}
