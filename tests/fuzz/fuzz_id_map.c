/* SPDX-License-Identifier: Apache-2.0 */
/* An accepted map has the id 0 and no id twice, and is accepted again in its sorted form. */
#include "base/id_map.h"
#include "tests/fuzz/fuzz_target.h"

static void check_extents(const char *list)
{
	struct id_map_extent extents[ID_MAP_EXTENTS_MAX];
	size_t count = 0;

	assert(id_map_parse_list("user", list, extents, &count, NULL) == 0);
	assert(count > 0 && count <= ID_MAP_EXTENTS_MAX && extents[0].container == 0);
	for (size_t i = 0; i < count; i++) {
		assert(extents[i].length > 0);
		assert(extents[i].length <= UINT32_MAX - extents[i].container);
		assert(extents[i].length <= UINT32_MAX - extents[i].host);
		assert(i == 0 ||
		       extents[i].container >= extents[i - 1].container + extents[i - 1].length);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *text = fuzz_text(data, size);
	cleanup(id_map_free) struct id_map map = { 0 };
	cleanup(id_map_free) struct id_map again = { 0 };
	struct error e = { 0 };

	if (id_map_parse(text, "0:0:1", &map, &e) < 0) {
		assert(e.text[0] && !id_map_is_set(&map));
		return 0;
	}
	if (!id_map_is_set(&map))
		return 0;
	check_extents(map.uids);
	assert(id_map_parse(map.uids, map.gids, &again, NULL) == 0);
	assert(id_map_equal(&map, &again));
	return 0;
}
