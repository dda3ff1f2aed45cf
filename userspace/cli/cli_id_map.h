/* SPDX-License-Identifier: Apache-2.0 */
/* The options --uid-map and --gid-map, and the JSON form of an id map. */
#pragma once

#include "base/cleanup.h"
#include "base/json_writer.h"
#include "base/strbuf.h"
#include "cli/cli_call.h"
#include "varve.pb-c.h"

#define CLI_ID_MAP_ARGUMENT "CONTAINER:HOST:LENGTH"
#define CLI_ID_MAP_HELP(what) \
	"map " what " ids; may be repeated, or several ranges joined by commas"

struct cli_id_map {
	Varve__V1__IdMap message;
	struct strbuf uids, gids;
};

/* Adds one range, or several ranges joined by commas. */
void cli_id_map_add(struct strbuf *list, const char *text);
/* Points *ret_message to the message of the map; leaves it alone when no range was added. */
int cli_id_map_finish(struct cli *c, struct cli_id_map *map, Varve__V1__IdMap **ret_message,
		      struct error *e);
void cli_id_map_free(struct cli_id_map *map);
DEFINE_CLEANUP_VALUE(struct cli_id_map, cli_id_map_free)
/* {"uids":…,"gids":…} or null. */
void cli_id_map_json(struct json_writer *w, const char *key, const Varve__V1__IdMap *map);
