/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail_point.h"
#include "base/log.h"
#include "daemon/access.h"
#include "daemon/config.h"
#include "daemon/daemon.h"

/* The same as those of varve: 0 done, 1 failed, 2 usage, 5 in use, 6 permission. */
static int exit_status(int code)
{
	switch (code) {
	case 0:
		return 0;
	case -EBUSY:
	case -EADDRINUSE:
		return 5;
	case -EPERM:
	case -EACCES:
		return 6;
	default:
		return 1;
	}
}

/* config_parse() has read and checked the file. */
static int check(const struct config *config, struct error *e)
{
	struct access access;
	int code = access_open(config, &access, e);

	if (code == 0)
		printf("the configuration is good, with %zu policies\n",
		       config->file.policies.count);
	return code;
}

int main(int argc, char **argv)
{
	struct config config;
	struct error e = { 0 };
	int code = 0;

	/* New files are readable by root only, unless their mode is set. */
	(void)umask(0077);
#ifdef VARVE_FAIL_POINTS
	if (argc == 2 && strcmp(argv[1], "--fail-points") == 0) {
		fail_point_list();
		return 0;
	}
#endif
	switch (config_parse(argc, argv, &config, &e)) {
	case CONFIG_DONE:
		return 0;
	case CONFIG_USAGE:
		log_error("%s", e.text);
		return 2;
	case CONFIG_RUN:
		break;
	}
	if (config.verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	if (config.check)
		code = check(&config, &e);
	else if (geteuid() != 0)
		code = error_set(&e, -EPERM,
				 "varved mounts and counts, which only root may do: use sudo");
	else if (config.quarantine_layers || config.rebuild_database)
		code = daemon_mend_database(&config, &e);
	else if (config.tear_down)
		code = daemon_tear_down(&config, &e);
	else
		code = daemon_run(&config, &e);
	if (code < 0)
		log_error("%s", e.text);
	config_file_free(&config.file);
	return exit_status(code);
}
