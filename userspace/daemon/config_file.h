/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "prune/prune_policy.h"

#define CONFIG_CONTAINERD_ADDRESS "/run/containerd/containerd.sock"
#define CONFIG_CONTAINERD_TIMEOUT_NS (60 * NS_PER_S)
#define CONFIG_POLICY_INTERVAL_NS (600 * NS_PER_S)

/* What the file says; the command line goes first. */
struct config_file {
	char *root, *socket, *backend; /* NULL: not said, as in the next line */
	char *read_only_socket, *group, *read_only_group;
	char *credentials; /* a file as docker's config.json, for registries; NULL: none */
	bool keep_blobs; /* also of layers that have their files */
	bool agent_mounts; /* snapshots are mounted by the agent, not by its clients */
	char *containerd_address; /* the path of containerd's socket; always set */
	int64_t containerd_timeout_ns; /* how long it may be silent while blobs are copied */
	struct prune_policies policies;
	bool automatic; /* policies run without being asked */
	int64_t interval_ns; /* between two runs; 0: only when space runs low */
};

/* Reads the file into *ret_file: the defaults, where it does not say otherwise. `required`: it has
 * to be there. -EINVAL names file and line. */
int config_file_read(const char *path, bool required, struct config_file *ret_file,
		     struct error *e);

void config_file_free(struct config_file *f); /* what it points to */
DEFINE_CLEANUP_VALUE(struct config_file, config_file_free)
