/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"Usage: varved [OPTION]…\n"
	"Keeps filesystem layers with an overlay mount each, and counts what is read in them.\n"
	"\n"
	"      --root DIR         the store (" CONFIG_DEFAULT_ROOT ")\n"
	"      --socket PATH      where clients connect (" CONFIG_DEFAULT_SOCKET ")\n"
	"      --read-only-socket PATH\n"
	"                         where those connect who may only look; none: nowhere\n"
	"      --backend NAME     only this accounting: overlay, syscall or none\n"
	"      --config FILE      settings and policies (" CONFIG_DEFAULT_FILE ", if it is there)\n"
	"      --check-config     say what is wrong with the configuration, exit\n"
	"      --quarantine-layers\n"
	"                         move the layers of a store that has lost its database to\n"
	"                         quarantine/ in it, exit\n"
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
	return error_set(e, -EINVAL, "the backend is overlay, syscall or none, not '%s'", name);
}

/* Fills in what the command line did not say. */
static int apply_file(struct config *c, struct error *e)
{
	int code = config_file_read(c->file_path ? c->file_path : CONFIG_DEFAULT_FILE,
				    c->file_path != NULL, &c->file, e);

	if (code < 0)
		return code;
	if (c->file.backend && !c->backend_forced)
		code = parse_backend(c->file.backend, c, e);
	if (code < 0) {
		config_file_free(&c->file);
		return code;
	}
	if (!c->root)
		c->root = c->file.root ? c->file.root : CONFIG_DEFAULT_ROOT;
	if (!c->socket)
		c->socket = c->file.socket ? c->file.socket : CONFIG_DEFAULT_SOCKET;
	if (!c->read_only_socket)
		c->read_only_socket = c->file.read_only_socket;
	/* A second agent, which has a socket of its own, must not take the first one's other
	 * socket. */
	if (!c->read_only_socket && strcmp(c->socket, CONFIG_DEFAULT_SOCKET) == 0)
		c->read_only_socket = CONFIG_DEFAULT_READ_ONLY_SOCKET;
	if (c->read_only_socket && strcmp(c->read_only_socket, CONFIG_NO_SOCKET) == 0)
		c->read_only_socket = NULL;
	/* An empty root would be whatever folder this was started in. */
	if (!*c->root || !*c->socket) {
		code = error_set(e, -EINVAL, "the %s must not be empty",
				 *c->root ? "socket" : "root");
		config_file_free(&c->file);
	}
	return code;
}

enum config_result config_parse(int argc, char **argv, struct config *ret_config, struct error *e)
{
	enum {
		ROOT = 256,
		SOCKET,
		READ_ONLY_SOCKET,
		BACKEND,
		FILE_PATH,
		CHECK,
		QUARANTINE,
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
		{ "teardown", no_argument, NULL, TEARDOWN },
		{ "verbose", no_argument, NULL, VERBOSE },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ NULL, 0, NULL, 0 },
	};
	struct config c = { 0 };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) >= 0) {
		switch (option) {
		case ROOT:
			c.root = optarg;
			break;
		case SOCKET:
			c.socket = optarg;
			break;
		case READ_ONLY_SOCKET:
			c.read_only_socket = optarg;
			break;
		case BACKEND:
			if (parse_backend(optarg, &c, e) < 0)
				return CONFIG_USAGE;
			break;
		case FILE_PATH:
			c.file_path = optarg;
			break;
		case CHECK:
			c.check = true;
			break;
		case QUARANTINE:
			c.quarantine_layers = true;
			break;
		case TEARDOWN:
			c.tear_down = true;
			break;
		case VERBOSE:
			c.verbose = true;
			break;
		case HELP:
			fputs(help, stdout);
			return CONFIG_DONE;
		case VERSION:
			puts("varved " VARVE_VERSION);
			return CONFIG_DONE;
		default:
			error_set(e, -EINVAL,
				  option == ':' ? "%s wants a value; see varved --help"
						: "no option %s; see varved --help",
				  argv[optind - 1]);
			return CONFIG_USAGE;
		}
	}
	if (c.tear_down && optind < argc)
		c.pin_folder = argv[optind++];
	if (optind < argc) {
		error_set(e, -EINVAL, "'%s' is one word too many; see varved --help", argv[optind]);
		return CONFIG_USAGE;
	}
	if (apply_file(&c, e) < 0)
		return CONFIG_USAGE;
	*ret_config = c;
	return CONFIG_RUN;
}
