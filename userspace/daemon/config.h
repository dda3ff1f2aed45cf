/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent was told on its command line, and the limits that nobody is asked about. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "usage/usage_bpf.h"

#define CONFIG_DEFAULT_ROOT "/var/lib/varve"
#define CONFIG_DEFAULT_SOCKET "/run/varve/varved.sock"
#define CONFIG_SOCKET_GROUP "varve" /* may use the socket, where the group exists */

#define CONFIG_WORKERS 16
#define CONFIG_QUEUED_CALLS 4096
#define CONFIG_CONNECTIONS 4096
#define CONFIG_MESSAGE_BYTES ((size_t)4 * 1024 * 1024)
#define CONFIG_TICK_SECONDS 10

struct config {
	const char *root, *socket;
	bool backend_forced;
	enum usage_backend backend;
	bool tear_down;
	bool verbose;
};

enum config_result { CONFIG_RUN, CONFIG_DONE, CONFIG_USAGE };

/* Texts are borrowed from argv. --help and --version print and are done. */
enum config_result config_parse(int argc, char **argv, struct config *ret_config, struct error *e);
