/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which user and group ids of a layer are shown as which: lists of "container:host:length", by
 * commas, with the rules that the kernel has for uid_map and gid_map of a user namespace. Besides
 * these, id 0 has to be in both, since layers belong to root. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* The kernel's own limits: UID_GID_MAP_MAX_EXTENTS, and less than a page of text. */
#define ID_MAP_EXTENTS_MAX 340
#define ID_MAP_TEXT_MAX 4094

/* Both lists, sorted by the container's ids; or neither. */
struct id_map {
	char *uids, *gids;
};

struct id_map_extent {
	uint32_t container, host, length; /* on disk and in the user namespace; outside of it */
};

/* NULL and "" both stand for a missing list; if both lists are missing, the map is unset. -EINVAL,
 * with a text. */
int id_map_parse(const char *uids, const char *gids, struct id_map *ret_map, struct error *e);
/* What list is wrong with: -EINVAL. `what` is "user" or "group". */
int id_map_parse_list(const char *what, const char *list,
		      struct id_map_extent ret_extents[ID_MAP_EXTENTS_MAX], size_t *ret_count,
		      struct error *e);
/* -ENOMEM. A map that is not set gives one that is not set. */
int id_map_copy(const struct id_map *map, struct id_map *ret_map);
bool id_map_equal(const struct id_map *a, const struct id_map *b);
void id_map_free(struct id_map *map);

static inline bool id_map_is_set(const struct id_map *map)
{
	return map->uids;
}

DEFINE_CLEANUP_VALUE(struct id_map, id_map_free)
