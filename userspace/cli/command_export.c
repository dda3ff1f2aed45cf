/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_progress.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

#define REGISTRY "docker://"

static const struct cli_option options[] = {
	{ 0, "compression", "NAME", "for layers without a blob: gzip, zstd or none" },
	{ 0, NULL, NULL, NULL },
};

static int export_to(struct cli *c, const char *reference, struct error *e)
{
	Varve__V1__ExportRequest request = VARVE__V1__EXPORT_REQUEST__INIT;
	struct cli_image image;
	int code;

	request.id = c->line.words[0];
	request.destination = (char *)reference;
	for (size_t i = 0; i < c->line.given_count; i++)
		request.compression = (char *)c->line.given[i].value; /* its only option */
	code = cli_progress_call(c, "Export", &request.base, &image, e);
	if (code < 0)
		return code;
	cli_progress_print(c, &image, reference);
	return 0;
}

static int run_export(struct cli *c, struct error *e)
{
	cleanup(free_ptr) char *reference = cli_progress_absolute(c->line.words[1]);

	if (!reference)
		return error_set(e, -ENOMEM, "cannot make the path of '%s' absolute",
				 c->line.words[1]);
	return export_to(c, reference, e);
}

static int run_push(struct cli *c, struct error *e)
{
	const char *name = c->line.words[1];
	bool whole = strncmp(name, REGISTRY, strlen(REGISTRY)) == 0;
	cleanup(free_ptr) char *reference = NULL;

	if (asprintf(&reference, "%s%s", whole ? "" : REGISTRY, name) < 0) {
		reference = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	return export_to(c, reference, e);
}

const struct cli_verb command_export = {
	.name = "export",
	.arguments = "ID DESTINATION",
	.summary = "write a record and its parents as an image",
	.details =
		"DESTINATION is oci:DIR[:NAME], oci-archive:FILE[:NAME], docker://[HOST/]NAME[:TAG],\n"
		"or tar:FILE for the record's own layer alone. The image is added to a layout that\n"
		"exists.",
	.min_words = 2,
	.max_words = 2,
	.options = options,
	.run = run_export,
};

const struct cli_verb command_push = {
	.name = "push",
	.arguments = "ID [HOST/]NAME[:TAG]",
	.summary = "export an image to a registry",
	.details = "Same as 'varve export ID docker://[HOST/]NAME[:TAG]'.",
	.min_words = 2,
	.max_words = 2,
	.options = options,
	.run = run_push,
};
