// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_handle.h"

#include <stdlib.h>
#include <string.h>

struct usage_mount *usage_handle_find_mount(struct usage_bpf *u, uint64_t id)
{
	for (size_t i = 0; i < u->mount_count; i++)
		if (u->mounts[i].id == id)
			return &u->mounts[i];
	return NULL;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = ((const struct usage_mount *)a)->id, y = ((const struct usage_mount *)b)->id;

	return (x > y) - (x < y);
}

struct usage_mount *usage_handle_mounts(struct usage_bpf *u, size_t *ret_count)
{
	struct usage_mount *copy;

	(void)pthread_mutex_lock(&u->lock);
	copy = calloc(u->mount_count + 1, sizeof(*copy));
	if (copy) {
		if (u->mount_count)
			memcpy(copy, u->mounts, u->mount_count * sizeof(*copy));
		*ret_count = u->mount_count;
	}
	(void)pthread_mutex_unlock(&u->lock);
	if (copy)
		qsort(copy, *ret_count, sizeof(*copy), compare_ids);
	return copy;
}

const struct usage_mount *usage_handle_find(const struct usage_mount *sorted, size_t count,
					    uint64_t id)
{
	struct usage_mount key = { .id = id };

	return bsearch(&key, sorted, count, sizeof(*sorted), compare_ids);
}

bool usage_handle_knows(struct usage_bpf *u, uint64_t id)
{
	bool known;

	(void)pthread_mutex_lock(&u->lock);
	known = usage_handle_find_mount(u, id);
	(void)pthread_mutex_unlock(&u->lock);
	return known;
}
