/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/mount_index.h"

#include <errno.h>
#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
	uint64_t x = (*(struct mount *const *)a)->id, y = (*(struct mount *const *)b)->id;

	return (x > y) - (x < y);
}

int mount_index_make(struct manager *m, bool gone_only, struct mount_index *ret_index)
{
	struct mount_index index = { .count = 0 };
	size_t count = 0;

	manager_assert_locked(m);
	for (struct mount *mount = m->mounts; mount; mount = mount->next)
		count++;
	index.sorted = calloc(count + 1, sizeof(struct mount *));
	if (!index.sorted)
		return -ENOMEM;
	for (struct mount *mount = m->mounts; mount; mount = mount->next)
		if (!gone_only || (!mount->record && !mount->lingers))
			index.sorted[index.count++] = mount;
	qsort(index.sorted, index.count, sizeof(struct mount *), by_id);
	*ret_index = index;
	return 0;
}

void mount_index_free(struct mount_index *index)
{
	free(index->sorted);
	*index = (struct mount_index){ .count = 0 };
}

struct mount *mount_index_find(const struct mount_index *index, uint64_t id)
{
	struct mount key = { .id = id }, *wanted = &key, **found;

	found = bsearch(&wanted, index->sorted, index->count, sizeof(struct mount *), by_id);
	return found ? *found : NULL;
}
