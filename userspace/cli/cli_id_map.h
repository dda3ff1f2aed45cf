/* SPDX-License-Identifier: Apache-2.0 */
/* The options --uid-map and --gid-map, and how a map of ids is printed. */
#pragma once

#include "base/cleanup.h"
#include "base/json_writer.h"
#include "base/strbuf.h"
#include "cli/cli_call.h"
#include "varve.pb-c.h"

#define CLI_ID_MAP_ARGUMENT "CONTAINER:HOST:LENGTH"
#define CLI_ID_MAP_HELP(what)                                      \
	"show " what " ids mapped like this; may be repeated and " \
	"joined by commas"

struct cli_id_map {
	Varve__V1__IdMap message;
	struct strbuf uids, gids;
};

/* One more range, or several by commas. */
void cli_id_map_add(struct strbuf *list, const char *text);
/* Points *ret_message to the map's, or leaves it when no range was added. */
int cli_id_map_finish(struct cli *c, struct cli_id_map *map, Varve__V1__IdMap **ret_message,
		      struct error *e);
void cli_id_map_free(struct cli_id_map *map);
DEFINE_CLEANUP_VALUE(struct cli_id_map, cli_id_map_free)
/* {"uids":…,"gids":…} or null. */
void cli_id_map_json(struct json_writer *w, const char *key, const Varve__V1__IdMap *map);
