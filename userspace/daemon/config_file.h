/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration file sets; config_read.h reads it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "owners/owner_settings.h"
#include "prune/prune_keeping.h"
#include "prune/prune_policy.h"

#define CONFIG_CONTAINERD_ADDRESS "/run/containerd/containerd.sock"
#define CONFIG_CONTAINERD_TIMEOUT_NS (60 * NS_PER_S)
#define CONFIG_KEEP_READERS_NS (90 * 86400 * NS_PER_S)
#define CONFIG_POLICY_INTERVAL_NS (600 * NS_PER_S)

/* The settings of the file, which the command line overrides. */
struct config_file {
	char *root, *socket, *backend; /* NULL: not set; the same in the next line */
	char *read_only_socket, *group, *read_only_group;
	char *credentials; /* a file as docker's config.json, for registries; NULL: none */
	bool keep_blobs; /* keep blobs of layers that are unpacked */
	bool agent_mounts; /* snapshots are mounted by the agent, not by its clients */
	struct prune_keeping keeping; /* of layers that containerd has removed */
	bool share_namespaces; /* layers are found again in other namespaces of containerd */
	char *metrics_socket, *metrics_address; /* NULL: not set */
	char *page_socket, *page_address; /* NULL: not set */
	char **upkeep; /* names of programs and cgroups, see usage_upkeep_names.h */
	size_t upkeep_count;
	int64_t keep_readers_ns; /* how long it is kept who read in a layer; 0: always */
	char *containerd_address; /* the path of containerd's socket; always set */
	int64_t containerd_timeout_ns; /* how long it may be silent while blobs are copied */
	struct owners_settings owners;
	struct prune_policies policies;
	bool automatic; /* the agent runs policies by itself */
	int64_t interval_ns; /* time between two runs; 0: run only when space is low */
};

void config_file_free(struct config_file *f); /* frees what it points to, not the struct */
DEFINE_CLEANUP_VALUE(struct config_file, config_file_free)
