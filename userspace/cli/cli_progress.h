/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of long work on content, on standard error: a bar on a terminal, else a line for each
 * finished piece. Standard output is left to the result. */
#pragma once

#include "cli/cli_call.h"

struct cli_image {
	char id[32], manifest[80]; /* of the top record; "" if there is none */
	uint64_t layers, new_layers;
	int64_t bytes;
};

/* Calls a method that streams varve.v1.ContentEvent, and shows the progress it reports. */
int cli_progress_call(struct cli *c, const char *method, const ProtobufCMessage *request,
		      struct cli_image *ret_image, struct error *e);
/* Prints the result: the id, or with --json an object. */
void cli_progress_print(struct cli *c, const struct cli_image *image, const char *reference);
/* The reference with an absolute path, because the agent has a different working directory. The
 * caller frees it; NULL: out of memory, or there is no working directory. */
char *cli_progress_absolute(const char *reference);
