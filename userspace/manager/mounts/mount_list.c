/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts that the manager knows, and where they are to be seen. */
#include "manager/mounts/mount_list.h"

#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "manager/state/manager_state.h"

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

/* "7/4/1", or "/4/1" for a read-only one */
char *mount_list_layer_names(const struct mount *mount)
{
	struct strbuf names = { 0 };

	for (size_t i = 0; i < mount->layer_count; i++)
		strbuf_appendf(&names, "%s%s", i > 0 ? "/" : "", mount->layers[i].name);
	return strbuf_take(&names);
}

struct mount *mount_list_new_gone(uint64_t id, bool writable, const char *names)
{
	cleanup(mount_list_free) struct mount *mount = calloc(1, sizeof(*mount));

	if (!mount)
		return NULL;
	*mount = (struct mount){ .id = id, .writable = writable, .layer_count = 1 };
	for (const char *c = names; *c; c++)
		mount->layer_count += *c == '/';
	mount->layers = calloc(mount->layer_count, sizeof(*mount->layers));
	if (!mount->layers)
		return NULL;
	for (size_t i = 0; i < mount->layer_count; i++) {
		size_t length = strcspn(names, "/");

		(void)snprintf(mount->layers[i].name, sizeof(mount->layers[i].name), "%.*s",
			       (int)length, names); /* ours: it fits */
		names += length + (names[length] == '/');
	}
	return take_ptr(mount);
}

void mount_list_free(struct mount *mount)
{
	if (!mount)
		return;
	for (size_t i = 0; mount->layers && i < mount->layer_count; i++)
		free(mount->layers[i].upkeep);
	free(mount->layers);
	id_map_free(&mount->id_map);
	free(mount);
}

void mount_list_link(struct manager *m, struct mount *mount, struct record *r)
{
	manager_assert_locked(m);
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

	manager_assert_locked(m);
	for (at = &m->mounts; *at != mount; at = &(*at)->next)
		;
	*at = mount->next;
}
