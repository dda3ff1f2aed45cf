/* SPDX-License-Identifier: Apache-2.0 */
/* The settings from the command line and the configuration file, and the limits that have no
 * setting. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"
#include "prune/prune_policy.h"
#include "usage/usage_bpf.h"
#include "daemon/config_file.h"

#define CONFIG_DEFAULT_ROOT "/var/lib/varve"
#define CONFIG_DEFAULT_SOCKET "/run/varve/varved.sock"
#define CONFIG_DEFAULT_FILE "/etc/varve/varved.conf" /* read if it exists */
#define CONFIG_DEFAULT_READ_ONLY_SOCKET \
	"/run/varve/varved-ro.sock" /* used with the default socket only */
#define CONFIG_DEFAULT_METRICS_SOCKET \
	"/run/varve/metrics.sock" /* used with the default socket only */
/* The groups whose members may use the sockets, if the groups exist. */
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

/* All users of the read-only socket together get a small part of the agent, and each of them,
 * except root, a part of that. */
#define CONFIG_READ_ONLY_CONNECTIONS 256
#define CONFIG_READ_ONLY_USER_CONNECTIONS 64
#define CONFIG_READ_ONLY_CALLS 1024
#define CONFIG_READ_ONLY_WORKERS 8
#define CONFIG_READ_ONLY_MORE_WORKERS 4 /* for users who have a call running already */
#define CONFIG_READ_ONLY_USER_WORKERS 2
#define CONFIG_READ_ONLY_BRIEF_WORKERS 2 /* in addition, for calls that never take long */
#define CONFIG_READ_ONLY_HELD_BYTES ((size_t)32 * 1024 * 1024)
#define CONFIG_READ_ONLY_MESSAGE_BYTES ((size_t)256 * 1024)

#define CONFIG_TICK_SECONDS 10

struct config {
	const char *root, *socket;
	const char *read_only_socket; /* NULL: no such socket */
	const char *metrics_socket, *page_socket; /* NULL: no such socket */
	const char *file_path; /* NULL: the default file, which may be missing */
	struct config_file file;
	bool check; /* read the configuration, report its faults, and exit */
	bool backend_forced;
	enum usage_backend backend;
	bool tear_down;
	const char *pin_folder; /* the folder to tear down instead of the store; NULL: none */
	bool quarantine_layers, rebuild_database;
	bool verbose;
};

enum config_result { CONFIG_RUN, CONFIG_DONE, CONFIG_USAGE };

/* Texts are borrowed from argv and from ret_config->file, which the caller frees with
 * config_file_free(). CONFIG_DONE: --help or --version was printed. CONFIG_USAGE: the error says
 * why. */
enum config_result config_parse(int argc, char **argv, struct config *ret_config, struct error *e);
