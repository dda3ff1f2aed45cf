/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_id_map.h"

#include <errno.h>

#include "base/id_map.h"

void cli_id_map_add(struct strbuf *list, const char *text)
{
	strbuf_appendf(list, "%s%s", list->length ? "," : "", text);
}

int cli_id_map_finish(struct cli *c, struct cli_id_map *map, Varve__V1__IdMap **ret_message,
		      struct error *e)
{
	cleanup(id_map_free) struct id_map parsed = { 0 };
	struct error wrong = { 0 };

	if (map->uids.failed || map->gids.failed)
		return error_set(e, -ENOMEM, "out of memory for the id map");
	if (!map->uids.text && !map->gids.text)
		return 0;
	if (id_map_parse(map->uids.text ?: "", map->gids.text ?: "", &parsed, &wrong) < 0)
		return cli_usage(c, e, "%s", wrong.text);
	varve__v1__id_map__init(&map->message);
	map->message.uids = map->uids.text;
	map->message.gids = map->gids.text;
	*ret_message = &map->message;
	return 0;
}

void cli_id_map_free(struct cli_id_map *map)
{
	strbuf_free(&map->uids);
	strbuf_free(&map->gids);
}

void cli_id_map_json(struct json_writer *w, const char *key, const Varve__V1__IdMap *map)
{
	if (!map) {
		json_put_null(w, key);
		return;
	}
	json_open_object(w, key);
	json_put_string(w, "uids", map->uids);
	json_put_string(w, "gids", map->gids);
	json_close_object(w);
}
