// SPDX-License-Identifier: Apache-2.0
#include "base/id_map.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

#define TEXT_SHOWN_MAX 60

/* A number that ends before one of these characters, or before the end of the text. */
static bool read_number(const char **at, const char *ends, uint32_t *ret_number)
{
	uint64_t number = 0;
	const char *start = *at;

	for (; isdigit((unsigned char)**at) && number <= UINT32_MAX; ++*at)
		number = number * 10 + (uint64_t)(**at - '0');
	if (*at == start || number > UINT32_MAX || !strchr(ends, **at))
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static bool read_extent(const char **at, struct id_map_extent *ret_extent)
{
	if (!read_number(at, ":", &ret_extent->container) || *(*at)++ == '\0')
		return false;
	if (!read_number(at, ":", &ret_extent->host) || *(*at)++ == '\0')
		return false;
	if (!read_number(at, ",", &ret_extent->length)) /* or the end, which strchr() finds, too */
		return false;
	return true;
}

/* The id 2^32-1 is none. */
static bool fits(uint32_t first, uint32_t length)
{
	return length > 0 && (uint64_t)first + length <= UINT32_MAX;
}

static bool overlaps(uint32_t a, uint32_t a_length, uint32_t b, uint32_t b_length)
{
	return a < b ? b - a < a_length : a - b < b_length;
}

static int by_container(const void *a, const void *b)
{
	const struct id_map_extent *x = a, *y = b;

	return x->container < y->container ? -1 : x->container > y->container;
}

static int check_extents(const char *what, const struct id_map_extent *extents, size_t count,
			 struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		const struct id_map_extent *x = &extents[i];

		if (!fits(x->container, x->length) || !fits(x->host, x->length))
			return error_set(e, -EINVAL,
					 "a map of %s ids has %" PRIu32 ":%" PRIu32 ":%" PRIu32
					 ": at least one id, and none above 4294967294",
					 what, x->container, x->host, x->length);
		for (size_t k = 0; k < i; k++) {
			const struct id_map_extent *y = &extents[k];

			if (overlaps(x->container, x->length, y->container, y->length) ||
			    overlaps(x->host, x->length, y->host, y->length))
				return error_set(e, -EINVAL,
						 "a map of %s ids has %" PRIu32 ":%" PRIu32
						 ":%" PRIu32 " and %" PRIu32 ":%" PRIu32 ":%" PRIu32
						 ", which overlap",
						 what, y->container, y->host, y->length,
						 x->container, x->host, x->length);
		}
	}
	if (extents[0].container != 0)
		return error_set(e, -EINVAL,
				 "a map of %s ids has to say what 0 is shown as: layers belong to "
				 "root",
				 what);
	return 0;
}

int id_map_parse_list(const char *what, const char *list,
		      struct id_map_extent ret_extents[ID_MAP_EXTENTS_MAX], size_t *ret_count,
		      struct error *e)
{
	const char *at = list;
	size_t count = 0;

	if (strlen(list) > ID_MAP_TEXT_MAX)
		return error_set(
			e, -EINVAL,
			"a map of %s ids is longer than the %d bytes that the kernel takes", what,
			ID_MAP_TEXT_MAX);
	do {
		if (count == ID_MAP_EXTENTS_MAX)
			return error_set(e, -EINVAL,
					 "a map of %s ids has more than the %d ranges that the "
					 "kernel takes",
					 what, ID_MAP_EXTENTS_MAX);
		if (!read_extent(&at, &ret_extents[count++]))
			return error_set(e, -EINVAL,
					 "a map of %s ids is CONTAINER:HOST:LENGTH[,...], not "
					 "'%.*s'",
					 what, TEXT_SHOWN_MAX, list);
	} while (*at++ == ',');
	qsort(ret_extents, count, sizeof(*ret_extents), by_container);
	*ret_count = count;
	return check_extents(what, ret_extents, count, e);
}

static int normalize(const char *what, const char *list, char **ret_list, struct error *e)
{
	struct id_map_extent extents[ID_MAP_EXTENTS_MAX];
	cleanup(strbuf_free) struct strbuf text = { 0 };
	size_t count = 0;
	int code = id_map_parse_list(what, list, extents, &count, e);

	if (code < 0)
		return code;
	for (size_t i = 0; i < count; i++)
		strbuf_appendf(&text, "%s%" PRIu32 ":%" PRIu32 ":%" PRIu32, i ? "," : "",
			       extents[i].container, extents[i].host, extents[i].length);
	if (strbuf_failed(&text))
		return error_set(e, -ENOMEM, "out of memory");
	*ret_list = strbuf_take(&text);
	return 0;
}

int id_map_parse(const char *uids, const char *gids, struct id_map *ret_map, struct error *e)
{
	cleanup(id_map_free) struct id_map map = { 0 };
	bool has_uids = uids && *uids, has_gids = gids && *gids;
	int code;

	if (has_uids != has_gids)
		return error_set(e, -EINVAL,
				 "a map of %s ids needs one of %s ids as well: without it, every "
				 "file would belong to nobody",
				 has_uids ? "user" : "group", has_uids ? "group" : "user");
	if (has_uids) {
		code = normalize("user", uids, &map.uids, e);
		if (code == 0)
			code = normalize("group", gids, &map.gids, e);
		if (code < 0)
			return code;
	}
	*ret_map = map;
	map = (struct id_map){ 0 };
	return 0;
}

int id_map_copy(const struct id_map *map, struct id_map *ret_map)
{
	cleanup(id_map_free) struct id_map copy = { 0 };

	if (id_map_is_set(map)) {
		copy.uids = strdup(map->uids);
		copy.gids = strdup(map->gids);
		if (!copy.uids || !copy.gids)
			return -ENOMEM;
	}
	*ret_map = copy;
	copy = (struct id_map){ 0 };
	return 0;
}

bool id_map_equal(const struct id_map *a, const struct id_map *b)
{
	if (!id_map_is_set(a) || !id_map_is_set(b))
		return id_map_is_set(a) == id_map_is_set(b);
	return strcmp(a->uids, b->uids) == 0 && strcmp(a->gids, b->gids) == 0;
}

void id_map_free(struct id_map *map)
{
	free(map->uids);
	free(map->gids);
	*map = (struct id_map){ 0 };
}
