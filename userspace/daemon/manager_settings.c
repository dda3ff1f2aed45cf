/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/manager_settings.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *manager_settings_find_fetch_helper(void)
{
	char self[PATH_MAX] = "", *path;
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash = length > 0 ? strrchr(self, '/') : NULL;

	if (slash)
		*slash = '\0';
	return asprintf(&path, "%s/varve-fetch", slash ? self : ".") < 0 ? NULL : path;
}

struct manager_options
manager_settings_make(const struct config *config, const char *root, const char *fetch_helper,
		      void (*report)(bool problem, const char *text, void *user))
{
	const struct config_file *file = &config->file;

	return (struct manager_options){ .root = root,
					 .default_root = strcmp(root, CONFIG_DEFAULT_ROOT) == 0,
					 .backend_forced = config->backend_forced,
					 .backend = config->backend,
					 .policies = &file->policies,
					 .automatic = file->automatic,
					 .policy_interval_ns = file->interval_ns,
					 .fetch_helper = fetch_helper,
					 .credentials_file = file->credentials,
					 .drop_blobs = !file->keep_blobs,
					 .upkeep = (const char *const *)file->upkeep,
					 .upkeep_count = file->upkeep_count,
					 .keep_readers_ns = file->keep_readers_ns,
					 .agent_mounts = file->agent_mounts,
					 .keeping = file->keeping,
					 .share_namespaces = file->share_namespaces,
					 .quarantine_layers = config->quarantine_layers,
					 .rebuild_database = config->rebuild_database,
					 .passing = config->quarantine_layers ||
						    config->rebuild_database || config->tear_down,
					 .report = report };
}
