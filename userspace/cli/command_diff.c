/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

static const struct cli_option options[] = {
	{ 0, "compression", "NAME", "gzip, zstd or none (default: none)" },
	{ 0, NULL, NULL, NULL },
};

static int write_piece(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const ProtobufCBinaryData *tar = &((const Varve__V1__DiffPiece *)reply)->tar;
	size_t put = 0;

	(void)user;
	while (put < tar->len) {
		ssize_t n = write(STDOUT_FILENO, tar->data + put, tar->len - put);

		if (n < 0)
			return error_set(e, -errno, "write standard output: %s", strerror(errno));
		put += (size_t)n;
	}
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	Varve__V1__DiffRequest request = VARVE__V1__DIFF_REQUEST__INIT;
	int code;

	if (isatty(STDOUT_FILENO))
		return cli_usage(c, e,
				 "standard output is a terminal; redirect it to a file or a pipe");
	request.id = c->line.words[0];
	for (size_t i = 0; i < c->line.given_count; i++)
		request.compression = (char *)c->line.given[i].value; /* its only option */
	code = cli_call_each(c, "Diff", &request.base, &varve__v1__diff_piece__descriptor,
			     write_piece, NULL, e);
	if (code == -EPIPE)
		c->exit = CLI_EXIT_FAILED; /* standard output failed, not the agent */
	return code;
}

const struct cli_verb command_diff = {
	.name = "diff",
	.arguments = "ID",
	.summary = "write a record's own layer as a tar",
	.details =
		"Writes an OCI layer to standard output: sorted, with whiteouts, and with the same\n"
		"bytes every time.",
	.min_words = 1,
	.max_words = 1,
	.options = options,
	.run = run,
};
