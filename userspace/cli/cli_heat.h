/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the agent for the layers of a heat picture: of a record and those below it, or of all. */
#pragma once

#include "cli/cli_records.h"
#include "heat/heat_picture.h"

/* Whose folders are asked for at most; the largest layers come first. */
#define CLI_HEAT_WALKED_MAX 100

struct cli_heat {
	struct heat_layer *layers; /* their texts are the records' */
	size_t count;
	bool incomplete; /* accesses to some files were lost */
	int64_t now_ns;
	unsigned depth;
	Varve__V1__InfoReply *info;
	struct cli_records *records; /* own the texts */
	size_t records_count;
};

/* Before it, the caller sets now_ns and depth, where 0 asks for no folders. `top`: the record whose
 * chain it is, or NULL for all records. */
int cli_heat_fetch(struct cli *c, const char *top, struct cli_heat *heat, struct error *e);
void cli_heat_free(struct cli_heat *heat);
DEFINE_CLEANUP_VALUE(struct cli_heat, cli_heat_free)
