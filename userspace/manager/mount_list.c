/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts that the manager knows, and where they are to be seen. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "manager/manager_state.h"

void mount_list_point_name(const struct record *r, bool clone, char name[MOUNT_POINT_NAME_SIZE])
{
	(void)snprintf(name, MOUNT_POINT_NAME_SIZE, "%s%s", r->id, clone ? "-ro" : "");
}

char *mount_list_path(const struct manager *m, const struct record *r, bool read_only_clone)
{
	char name[MOUNT_POINT_NAME_SIZE], *path;

	mount_list_point_name(r, read_only_clone, name);
	return asprintf(&path, "%s/mnt/%s", m->root, name) < 0 ? NULL : path;
}

struct mount *mount_list_new(const struct record *r, uint64_t id, bool writable,
			     const struct id_map *map)
{
	cleanup(mount_list_free) struct mount *mount = calloc(1, sizeof(*mount));
	size_t depth = record_graph_depth(r);
	size_t index = writable ? 0 : 1;

	if (!mount)
		return NULL;
	mount->id = id;
	mount->writable = writable;
	mount->layer_count = depth + index;
	mount->layers = calloc(mount->layer_count, sizeof(*mount->layers));
	if (!mount->layers || id_map_copy(map, &mount->id_map) < 0)
		return NULL;
	for (const struct record *at = r; at; at = at->parent)
		memcpy(mount->layers[index++].name, at->layer->name, LAYER_NAME_LENGTH + 1);
	return take_ptr(mount);
}

struct mount *mount_list_new_gone(uint64_t id, bool writable)
{
	struct mount *mount = calloc(1, sizeof(*mount));

	if (mount)
		*mount = (struct mount){ .id = id, .writable = writable };
	return mount;
}

int mount_list_grow(struct mount *mount, size_t layer_count)
{
	struct mount_layer *layers;

	if (layer_count <= mount->layer_count)
		return 0;
	layers = realloc(mount->layers, layer_count * sizeof(*layers));
	if (!layers)
		return -ENOMEM;
	memset(&layers[mount->layer_count], 0,
	       (layer_count - mount->layer_count) * sizeof(*layers));
	mount->layers = layers;
	mount->layer_count = layer_count;
	return 0;
}

void mount_list_free(struct mount *mount)
{
	if (!mount)
		return;
	free(mount->layers);
	id_map_free(&mount->id_map);
	free(mount);
}

void mount_list_link(struct manager *m, struct mount *mount, struct record *r)
{
	mount->record = r;
	mount->next = m->mounts;
	m->mounts = mount;
	r->mount = mount;
	if (r->refs > 0)
		r->mounted_while_held = true;
}

void mount_list_unlink(struct manager *m, struct mount *mount)
{
	struct mount **at;

	for (at = &m->mounts; *at != mount; at = &(*at)->next)
		;
	*at = mount->next;
}
