/* SPDX-License-Identifier: Apache-2.0 */
/* How far long work on content is, on standard error: a bar on a terminal, else a line for each
 * piece that is done. Standard output is the result's. */
#pragma once

#include "cli/cli_call.h"

struct cli_image {
	char id[32], manifest[80]; /* the top record; "" for none */
	uint64_t layers, new_layers;
	int64_t bytes;
};

/* Calls a method that streams varve.v1.ContentEvent, and shows what it says of its progress. */
int cli_progress_call(struct cli *c, const char *method, const ProtobufCMessage *request,
		      struct cli_image *ret_image, struct error *e);
/* The result: the id, or a JSON object. */
void cli_progress_print(struct cli *c, const struct cli_image *image, const char *reference);
/* A reference whose path the agent can open, which has another working directory. Freed by the
 * caller; NULL: out of memory, or no working directory. */
char *cli_progress_absolute(const char *reference);
