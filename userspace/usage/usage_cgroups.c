/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_cgroups.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "usage/usage_handle.h"
#include "usage/usage_upkeep.h"

#define ROOT_NUMBER 1 /* of each hierarchy */
#define KEPT_NAMES 24576 /* of 32768 */

static int find_names(struct usage_bpf *u, uint64_t number, struct usage_cgroup_name *names,
		      size_t *ret_count)
{
	*ret_count = 0;
	while (number && number != ROOT_NUMBER && *ret_count < USAGE_CGROUP_DEPTH) {
		struct usage_cgroup_name *name = &names[*ret_count];

		if (bpf_map_lookup_elem(u->maps.cgroup_names, &number, name) < 0)
			return -errno;
		name->name[sizeof(name->name) - 1] = '\0';
		number = name->parent;
		++*ret_count;
	}
	return 0;
}

int usage_cgroups_find_path(struct usage_bpf *u, uint64_t number, char **ret_path, struct error *e)
{
	struct usage_cgroup_name names[USAGE_CGROUP_DEPTH];
	cleanup(strbuf_free) struct strbuf path = { 0 };
	size_t count;
	int code;

	*ret_path = NULL;
	if (u->backend == USAGE_BACKEND_NONE || number == 0 || number == USAGE_OTHER_READERS)
		return 0;
	code = find_names(u, number, names, &count);
	if (code == -ENOENT)
		return 0;
	if (code < 0)
		return error_set(e, code, "read the names of cgroups: %s", strerror(-code));
	if (count == 0)
		strbuf_append(&path, "/");
	while (count-- > 0)
		strbuf_appendf(&path, "/%s", names[count].name);
	*ret_path = strbuf_take(&path);
	return *ret_path ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static size_t count_names(int map)
{
	uint64_t key;
	size_t count = 0;

	while (bpf_map_get_next_key(map, count ? &key : NULL, &key) == 0)
		count++;
	return count;
}

void usage_cgroups_sweep(struct usage_bpf *u)
{
	uint64_t key;

	if (u->backend == USAGE_BACKEND_NONE || count_names(u->maps.cgroup_names) < KEPT_NAMES)
		return;
	while (bpf_map_get_next_key(u->maps.cgroup_names, NULL, &key) == 0)
		if (bpf_map_delete_elem(u->maps.cgroup_names, &key) < 0)
			break;
	(void)usage_upkeep_changed(u, NULL); /* fails only without the map */
}
