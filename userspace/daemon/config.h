/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent was told on its command line, and the limits that nobody is asked about. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"
#include "prune/prune_policy.h"
#include "usage/usage_bpf.h"
#include "daemon/config_file.h"

#define CONFIG_DEFAULT_ROOT "/var/lib/varve"
#define CONFIG_DEFAULT_SOCKET "/run/varve/varved.sock"
#define CONFIG_DEFAULT_FILE "/etc/varve/varved.conf" /* read where it is there */
#define CONFIG_DEFAULT_READ_ONLY_SOCKET "/run/varve/varved-ro.sock" /* beside the default one */
/* Who may use them, where these groups exist. */
#define CONFIG_DEFAULT_GROUP "varve"
#define CONFIG_DEFAULT_READ_ONLY_GROUP "varve-ro"
#define CONFIG_NO_SOCKET "none"
#define CONFIG_EVERYBODY "*"

#define CONFIG_WORKERS 24
#define CONFIG_QUEUED_CALLS 4096
#define CONFIG_CONNECTIONS 4096
#define CONFIG_USER_CONNECTIONS 1024
#define CONFIG_CALLS 16384
#define CONFIG_HELD_BYTES ((size_t)128 * 1024 * 1024)
#define CONFIG_MESSAGE_BYTES ((size_t)4 * 1024 * 1024)
#define CONFIG_PATIENCE_US (UINT64_C(30) * 1000000)

/* All users of the read-only socket together may keep little of the agent busy, and one of them,
 * unless it is root, only a part of that. */
#define CONFIG_READ_ONLY_CONNECTIONS 256
#define CONFIG_READ_ONLY_USER_CONNECTIONS 64
#define CONFIG_READ_ONLY_CALLS 1024
#define CONFIG_READ_ONLY_WORKERS 8
#define CONFIG_READ_ONLY_MORE_WORKERS 4 /* for users who have a call running already */
#define CONFIG_READ_ONLY_USER_WORKERS 2
#define CONFIG_READ_ONLY_BRIEF_WORKERS 2 /* besides, for calls that never take long */
#define CONFIG_READ_ONLY_HELD_BYTES ((size_t)32 * 1024 * 1024)
#define CONFIG_READ_ONLY_MESSAGE_BYTES ((size_t)256 * 1024)

#define CONFIG_TICK_SECONDS 10

struct config {
	const char *root, *socket;
	const char *read_only_socket; /* NULL: there is none */
	const char *file_path; /* NULL: the default one, which need not be there */
	struct config_file file;
	bool check; /* only read the file, and say what is wrong with it */
	bool backend_forced;
	enum usage_backend backend;
	bool tear_down;
	const char *pin_folder; /* to be torn down instead of the store; NULL: none */
	bool quarantine_layers;
	bool verbose;
};

enum config_result { CONFIG_RUN, CONFIG_DONE, CONFIG_USAGE };

/* Texts are borrowed from argv and from the file, which config_file_free() ends. --help and
 * --version print and are done. */
enum config_result config_parse(int argc, char **argv, struct config *ret_config, struct error *e);
