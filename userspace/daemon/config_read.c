/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: INI as inih reads it.
 *
 *   [agent]          root, socket, read_only_socket, group, read_only_group, backend, credentials,
 *                    keep_blobs
 *   [accounting]     upkeep (once or more), keep_readers
 *   [snapshots]      mounts = client|agent, keep_removed, keep_free, share_namespaces
 *   [containerd]     address, timeout, evict = nothing|images, namespaces (once or more),
 *                    snapshotter
 *   [buildkit "name"], [docker]
 *                    address, containerd, namespace, snapshotter, evict, timeout
 *   [metrics]        socket, address
 *   [page]           socket, address
 *   [prune]          automatic = yes|no, interval
 *   [policy "name"]  filter (once or more), all, keep_duration, reserved_space, max_used_space,
 *                    min_free_space, scorer, owner
 *
 * With any [policy] of its own the file replaces the default ones.
 */
#include "daemon/config_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ini.h>

#include "base/cleanup.h"
#include "daemon/config_owners.h"
#include "daemon/config_policies.h"
#include "daemon/config_line.h"
#include "daemon/loopback.h"
#include "usage/usage_upkeep_names.h"

/* Where packages put the programs that keep layers, and are not clients of the agent itself. */
static const char *const default_upkeep[] = {
	"/usr/bin/dockerd",
	"/usr/sbin/dockerd",
	"/usr/bin/buildkitd",
	"/usr/local/bin/buildkitd",
};

/* The file has passwords: it must exist, and only root may be able to read it. */
static int set_credentials(struct config_line *l, const char *path)
{
	struct stat st;

	if (path[0] != '/')
		return config_line_refuse(l, "credentials: '%.60s' is not an absolute path", path);
	if (stat(path, &st) < 0)
		return config_line_refuse(l, "credentials: %.100s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 077))
		return config_line_refuse(
			l,
			"credentials: %.100s must be a file that only root can read "
			"(chown root, chmod 600)",
			path);
	return config_line_text(l, &l->file->credentials, path);
}

static int read_agent(struct config_line *l, const char *name, const char *value)
{
	if (strcmp(name, "root") == 0)
		return config_line_text(l, &l->file->root, value);
	if (strcmp(name, "socket") == 0)
		return config_line_text(l, &l->file->socket, value);
	if (strcmp(name, "backend") == 0)
		return config_line_text(l, &l->file->backend, value);
	if (strcmp(name, "read_only_socket") == 0)
		return config_line_text(l, &l->file->read_only_socket, value);
	if (strcmp(name, "group") == 0)
		return config_line_text(l, &l->file->group, value);
	if (strcmp(name, "read_only_group") == 0)
		return config_line_text(l, &l->file->read_only_group, value);
	if (strcmp(name, "credentials") == 0)
		return set_credentials(l, value);
	if (strcmp(name, "keep_blobs") == 0)
		return config_line_flag(l, &l->file->keep_blobs, name, value);
	return config_line_refuse(
		l,
		"unknown key '%.60s' in [agent] (keys: root, socket, read_only_socket, "
		"group, read_only_group, backend, credentials, keep_blobs)",
		name);
}

static int read_snapshots(struct config_line *l, const char *name, const char *value)
{
	if (strcmp(name, "keep_removed") == 0)
		return config_line_space(l, &l->file->keeping.max_used, name, value);
	if (strcmp(name, "keep_free") == 0)
		return config_line_space(l, &l->file->keeping.min_free, name, value);
	if (strcmp(name, "share_namespaces") == 0)
		return config_line_flag(l, &l->file->share_namespaces, name, value);
	if (strcmp(name, "mounts") != 0)
		return config_line_refuse(
			l,
			"unknown key '%.60s' in [snapshots] (keys: mounts, keep_removed, "
			"keep_free, share_namespaces)",
			name);
	l->file->agent_mounts = strcmp(value, "agent") == 0;
	if (l->file->agent_mounts || strcmp(value, "client") == 0)
		return 1;
	return config_line_refuse(l, "mounts: invalid value '%.60s' (client or agent)", value);
}

static int add_upkeep(struct config_file *f, const char *name)
{
	char **grown = realloc(f->upkeep, (f->upkeep_count + 1) * sizeof(char *));

	if (!grown)
		return -ENOMEM;
	f->upkeep = grown;
	grown[f->upkeep_count] = strdup(name);
	return grown[f->upkeep_count] ? (f->upkeep_count++, 0) : -ENOMEM;
}

/* A list by commas. */
static int read_upkeep(struct config_line *l, const char *value)
{
	cleanup(free_ptr) char *list = strdup(value);
	char *save = NULL;

	l->upkeep_given = true;
	if (!list)
		return config_line_refuse(l, "out of memory");
	for (char *name = strtok_r(list, ", \t", &save); name;
	     name = strtok_r(NULL, ", \t", &save)) {
		struct error e = { 0 };

		if (usage_upkeep_names_check(name, &e) < 0)
			return config_line_refuse(l, "upkeep: %s", e.text);
		if (l->file->upkeep_count == USAGE_UPKEEP_NAMES_MAX)
			return config_line_refuse(l, "upkeep: more than %d names",
						  USAGE_UPKEEP_NAMES_MAX);
		if (add_upkeep(l->file, name) < 0)
			return config_line_refuse(l, "out of memory");
	}
	return 1;
}

static int read_accounting(struct config_line *l, const char *name, const char *value)
{
	if (strcmp(name, "upkeep") == 0)
		return read_upkeep(l, value);
	if (strcmp(name, "keep_readers") == 0)
		return config_line_duration(l, &l->file->keep_readers_ns, name, value);
	return config_line_refuse(
		l, "unknown key '%.60s' in [accounting] (keys: upkeep, keep_readers)", name);
}

/* [metrics] and [page]. */
static int read_web(struct config_line *l, const char *section, const char *name, const char *value,
		    char **socket, char **address)
{
	union loopback parsed;

	if (strcmp(name, "socket") == 0)
		return config_line_text(l, socket, value);
	if (strcmp(name, "address") != 0)
		return config_line_refuse(l, "unknown key '%.60s' in [%s] (keys: socket, address)",
					  name, section);
	if (loopback_parse(value, &parsed) < 0)
		return config_line_refuse(l,
					  "address: '%.60s' is not a loopback address with a port "
					  "(examples: 127.0.0.1:9842, [::1]:9842)",
					  value);
	return config_line_text(l, address, value);
}

static int read_prune(struct config_line *l, const char *name, const char *value)
{
	if (strcmp(name, "automatic") == 0)
		return config_line_flag(l, &l->file->automatic, name, value);
	if (strcmp(name, "interval") == 0)
		return config_line_duration(l, &l->file->interval_ns, name, value);
	return config_line_refuse(l, "unknown key '%.60s' in [prune] (keys: automatic, interval)",
				  name);
}

static int read_line(void *user, const char *section, const char *name, const char *value)
{
	struct config_line *l = user;

	if (strcmp(section, "agent") == 0)
		return read_agent(l, name, value);
	if (strcmp(section, "accounting") == 0)
		return read_accounting(l, name, value);
	if (strcmp(section, "snapshots") == 0)
		return read_snapshots(l, name, value);
	if (strcmp(section, "containerd") == 0)
		return config_owners_read_containerd(l, name, value);
	if (strcmp(section, "metrics") == 0)
		return read_web(l, section, name, value, &l->file->metrics_socket,
				&l->file->metrics_address);
	if (strcmp(section, "page") == 0)
		return read_web(l, section, name, value, &l->file->page_socket,
				&l->file->page_address);
	if (strcmp(section, "prune") == 0)
		return read_prune(l, name, value);
	if (strcmp(section, "docker") == 0)
		return config_owners_read_docker(l, name, value);
	if (strncmp(section, "buildkit", strlen("buildkit")) == 0)
		return config_owners_read_buildkit(l, section, name, value);
	if (strncmp(section, "policy", strlen("policy")) == 0)
		return config_policies_read(l, section, name, value);
	return config_line_refuse(
		l,
		"unknown section [%.60s] (sections: [agent], [accounting], [snapshots], "
		"[containerd], [buildkit \"name\"], [docker], [metrics], "
		"[page], [prune], [policy \"name\"])",
		section);
}

static int set_default_upkeep(struct config_file *f, struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(default_upkeep); i++)
		if (add_upkeep(f, default_upkeep[i]) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int read_stream(FILE *stream, const char *path, struct config_file *f,
		       bool *ret_upkeep_given, struct error *e)
{
	struct config_line l = { .file = f };
	int line;

	errno = 0;
	line = ini_parse_file(stream, read_line, &l);
	if (ferror(stream)) /* for example, because it is a directory */
		return error_set(e, errno ? -errno : -EIO, "read %s: %s", path,
				 strerror(errno ? errno : EIO));
	if (line < 0)
		return error_set(e, -ENOMEM, "read %s: out of memory", path);
	if (line > 0)
		return error_set(e, -EINVAL, "%s:%d: %s", path, line,
				 l.problem[0]
					 ? l.problem
					 : "this is not a [section] or a line name = value, or it "
					   "is too long");
	*ret_upkeep_given = l.upkeep_given;
	return 0;
}

int config_read(const char *path, bool required, struct config_file *ret_file, struct error *e)
{
	cleanup(config_file_free) struct config_file f = {
		.automatic = true,
		.interval_ns = CONFIG_POLICY_INTERVAL_NS,
		.keep_blobs = true,
		.keep_readers_ns = CONFIG_KEEP_READERS_NS,
		.keeping = PRUNE_KEEPING_DEFAULTS,
		.share_namespaces = true,
		.containerd_timeout_ns = CONFIG_CONTAINERD_TIMEOUT_NS,
	};
	cleanup(close_file) FILE *stream = fopen(path, "re");
	bool upkeep_given = false;
	int code;

	if (!stream && (required || errno != ENOENT))
		return error_set(e, -errno, "open %s: %s", path, strerror(errno));
	code = stream ? read_stream(stream, path, &f, &upkeep_given, e) : 0;
	if (code == 0 && !upkeep_given)
		code = set_default_upkeep(&f, e);
	if (code < 0)
		return code;
	if (!f.containerd_address)
		f.containerd_address = strdup(CONFIG_CONTAINERD_ADDRESS);
	if (!f.containerd_address)
		return error_set(e, -ENOMEM, "out of memory");
	code = config_policies_check(path, &f, e);
	if (code < 0)
		return code;
	if (f.policies.count == 0 && prune_policies_defaults(&f.policies) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_file = f;
	f = (struct config_file){ 0 };
	return 0;
}
