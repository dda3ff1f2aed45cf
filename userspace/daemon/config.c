/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "daemon/config_read.h"

static const char help[] =
	"Usage: varved [OPTION]…\n"
	"Keeps filesystem layers with an overlay mount each, and counts what is read in them.\n"
	"\n"
	"      --root DIR         the store (" CONFIG_DEFAULT_ROOT ")\n"
	"      --socket PATH      socket for clients (" CONFIG_DEFAULT_SOCKET ")\n"
	"      --read-only-socket PATH\n"
	"                         socket for clients that only read; \"none\" disables it\n"
	"      --backend NAME     backend of the accounting: overlay, syscall or none\n"
	"      --config FILE      settings and policies (" CONFIG_DEFAULT_FILE ", if it exists)\n"
	"      --check-config     check the configuration, report its faults and exit\n"
	"      --quarantine-layers\n"
	"                         move the layers of a store that has lost its database to\n"
	"                         quarantine/ in it, exit\n"
	"      --rebuild-database make a new database of what can be read in a damaged one, exit\n"
	"      --teardown [PINS]  unmount everything of the store, end its accounting, exit;\n"
	"                         or remove only this folder of /sys/fs/bpf, which a store that\n"
	"                         is gone has left\n"
	"      --verbose          log more\n"
	"      --help, --version\n"
	"\n"
	"SIGTERM ends it and leaves mounts and accounting in place.\n";

static int parse_backend(const char *name, struct config *c, struct error *e)
{
	for (int i = 0; i < USAGE_BACKEND_COUNT; i++) {
		if (strcmp(name, usage_backend_name((enum usage_backend)i)) != 0)
			continue;
		c->backend_forced = true;
		c->backend = (enum usage_backend)i;
		return 0;
	}
	return error_set(e, -EINVAL, "unknown backend '%s' (backends: overlay, syscall, none)",
			 name);
}

/* A second agent, which has a socket of its own, must not take the first one's other sockets.
 * `socket`: what is configured, or NULL. */
static const char *choose_socket(const struct config *c, const char *socket, const char *by_default)
{
	if (!socket && strcmp(c->socket, CONFIG_DEFAULT_SOCKET) == 0)
		socket = by_default;
	return socket && strcmp(socket, CONFIG_NO_SOCKET) == 0 ? NULL : socket;
}

/* Fills in what the command line does not say. */
static int apply_file(struct config *c, struct error *e)
{
	int code;

	if (c->file.backend && !c->backend_forced) {
		code = parse_backend(c->file.backend, c, e);
		if (code < 0)
			return code;
	}
	if (!c->root)
		c->root = c->file.root ? c->file.root : CONFIG_DEFAULT_ROOT;
	if (!c->socket)
		c->socket = c->file.socket ? c->file.socket : CONFIG_DEFAULT_SOCKET;
	c->read_only_socket = choose_socket(
		c, c->read_only_socket ? c->read_only_socket : c->file.read_only_socket,
		CONFIG_DEFAULT_READ_ONLY_SOCKET);
	c->metrics_socket = choose_socket(c, c->file.metrics_socket, CONFIG_DEFAULT_METRICS_SOCKET);
	c->page_socket = choose_socket(c, c->file.page_socket, NULL);
	/* An empty root would be whatever folder the agent was started in. */
	if (!*c->root || !*c->socket)
		return error_set(e, -EINVAL, "the %s must not be empty",
				 *c->root ? "socket" : "root");
	return 0;
}

static int read_file(struct config *c, struct error *e)
{
	int code = config_read(c->file_path ? c->file_path : CONFIG_DEFAULT_FILE,
			       c->file_path != NULL, &c->file, e);

	if (code < 0)
		return code;
	code = apply_file(c, e);
	if (code < 0)
		config_file_free(&c->file);
	return code;
}

enum option_name {
	ROOT = 256,
	SOCKET,
	READ_ONLY_SOCKET,
	BACKEND,
	FILE_PATH,
	CHECK,
	QUARANTINE,
	REBUILD,
	TEARDOWN,
	VERBOSE,
	HELP,
	VERSION
};

static const struct option options[] = {
	{ "root", required_argument, NULL, ROOT },
	{ "socket", required_argument, NULL, SOCKET },
	{ "read-only-socket", required_argument, NULL, READ_ONLY_SOCKET },
	{ "backend", required_argument, NULL, BACKEND },
	{ "config", required_argument, NULL, FILE_PATH },
	{ "check-config", no_argument, NULL, CHECK },
	{ "quarantine-layers", no_argument, NULL, QUARANTINE },
	{ "rebuild-database", no_argument, NULL, REBUILD },
	{ "teardown", no_argument, NULL, TEARDOWN },
	{ "verbose", no_argument, NULL, VERBOSE },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

static enum config_result take_option(struct config *c, int option, const char *word,
				      struct error *e)
{
	switch (option) {
	case ROOT:
		c->root = optarg;
		return CONFIG_RUN;
	case SOCKET:
		c->socket = optarg;
		return CONFIG_RUN;
	case READ_ONLY_SOCKET:
		c->read_only_socket = optarg;
		return CONFIG_RUN;
	case BACKEND:
		return parse_backend(optarg, c, e) < 0 ? CONFIG_USAGE : CONFIG_RUN;
	case FILE_PATH:
		c->file_path = optarg;
		return CONFIG_RUN;
	case CHECK:
		c->check = true;
		return CONFIG_RUN;
	case QUARANTINE:
		c->quarantine_layers = true;
		return CONFIG_RUN;
	case REBUILD:
		c->rebuild_database = true;
		return CONFIG_RUN;
	case TEARDOWN:
		c->tear_down = true;
		return CONFIG_RUN;
	case VERBOSE:
		c->verbose = true;
		return CONFIG_RUN;
	case HELP:
		fputs(help, stdout);
		return CONFIG_DONE;
	case VERSION:
		puts("varved " VARVE_VERSION);
		return CONFIG_DONE;
	default:
		error_set(e, -EINVAL,
			  option == ':' ? "%s needs a value; see varved --help"
					: "unknown option %s; see varved --help",
			  word);
		return CONFIG_USAGE;
	}
}

enum config_result config_parse(int argc, char **argv, struct config *ret_config, struct error *e)
{
	struct config c = { 0 };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) >= 0) {
		enum config_result taken = take_option(&c, option, argv[optind - 1], e);

		if (taken != CONFIG_RUN)
			return taken;
	}
	if (c.tear_down && optind < argc)
		c.pin_folder = argv[optind++];
	if (optind < argc) {
		error_set(e, -EINVAL, "unexpected argument '%s'; see varved --help", argv[optind]);
		return CONFIG_USAGE;
	}
	if (read_file(&c, e) < 0)
		return CONFIG_USAGE;
	*ret_config = c;
	return CONFIG_RUN;
}
