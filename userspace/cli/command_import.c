/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli_progress.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

#define REGISTRY "docker://"

enum option { OPTION_LAZY, OPTION_LEASE, OPTION_END };

static const struct cli_option import_options[] = {
	[OPTION_LAZY] = { 0, "lazy", NULL, "unpack layers when they are first needed" },
	[OPTION_LEASE] = { 0, "lease", "NAME",
			   "lease that holds the image (default: " CLI_DEFAULT_LEASE ")" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

static const struct cli_option pull_options[] = {
	[OPTION_LAZY] = { 0, "lazy", NULL, "fetch layers when they are first needed" },
	[OPTION_LEASE] = { 0, "lease", "NAME",
			   "lease that holds the image (default: " CLI_DEFAULT_LEASE ")" },
	[OPTION_END] = { 0, NULL, NULL, NULL },
};

static int import_reference(struct cli *c, const char *reference, struct error *e)
{
	Varve__V1__ImportRequest request = VARVE__V1__IMPORT_REQUEST__INIT;
	struct cli_image image;
	int code;

	request.source = (char *)reference;
	request.lease = (char *)CLI_DEFAULT_LEASE;
	for (size_t i = 0; i < c->line.given_count; i++) {
		if (c->line.given[i].option == OPTION_LAZY)
			request.lazy = true;
		else
			request.lease = (char *)c->line.given[i].value;
	}
	code = cli_progress_call(c, "Import", &request.base, &image, e);
	if (code < 0)
		return code;
	cli_progress_print(c, &image, reference);
	return 0;
}

static int run_import(struct cli *c, struct error *e)
{
	cleanup(free_ptr) char *reference = cli_progress_absolute(c->line.words[0]);

	if (!reference)
		return error_set(e, -ENOMEM, "cannot make the path of '%s' absolute",
				 c->line.words[0]);
	return import_reference(c, reference, e);
}

static int run_pull(struct cli *c, struct error *e)
{
	const char *name = c->line.words[0];
	bool whole = strncmp(name, REGISTRY, strlen(REGISTRY)) == 0;
	cleanup(free_ptr) char *reference = NULL;

	if (asprintf(&reference, "%s%s", whole ? "" : REGISTRY, name) < 0) {
		reference = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	return import_reference(c, reference, e);
}

const struct cli_verb command_import = {
	.name = "import",
	.arguments = "SOURCE",
	.summary = "create records from an image, or from a tar",
	.details =
		"SOURCE is oci:DIR[:NAME][@DIGEST], oci-archive:FILE[:NAME][@DIGEST], tar:FILE or\n"
		"docker://[HOST/]NAME[:TAG][@DIGEST]. The digest overrides the name or tag. Layers\n"
		"that exist already are reused. Prints the id of the top record, which the lease\n"
		"holds until 'varve release'.",
	.min_words = 1,
	.max_words = 1,
	.options = import_options,
	.run = run_import,
};

const struct cli_verb command_pull = {
	.name = "pull",
	.arguments = "[HOST/]NAME[:TAG][@DIGEST]",
	.summary = "import an image from a registry",
	.details = "Same as 'varve import docker://[HOST/]NAME[:TAG][@DIGEST]'.",
	.min_words = 1,
	.max_words = 1,
	.options = pull_options,
	.run = run_pull,
};
