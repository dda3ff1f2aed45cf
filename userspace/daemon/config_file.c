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
#include "daemon/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ini.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "daemon/loopback.h"
#include "graph/record_filter.h"
#include "prune/prune_score.h"
#include "usage/usage_upkeep_names.h"

/* Where packages put the programs that keep layers, and are not clients of the agent itself. */
static const char *const default_upkeep[] = {
	"/usr/bin/dockerd",
	"/usr/sbin/dockerd",
	"/usr/bin/buildkitd",
	"/usr/local/bin/buildkitd",
};

struct reading {
	struct config_file *file;
	bool upkeep_given;
	char problem[200]; /* the first fault; inih returns its line */
};

static int complain(struct reading *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Returns 0, by which a handler tells inih that it refuses the line. */
static int complain(struct reading *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!r->problem[0])
		(void)vsnprintf(r->problem, sizeof(r->problem), format, args);
	va_end(args);
	return 0;
}

#define SECTION_NAME_SIZE 41 /* inih truncates longer section names */

/* The name in a section of the kind 'policy "name"'; false: it is not one. */
static bool read_section_name(const char *section, const char *kind, char name[SECTION_NAME_SIZE])
{
	size_t prefix = strlen(kind), length = strlen(section);

	if (length < prefix + 4 || length > prefix + 1 + SECTION_NAME_SIZE ||
	    strncmp(section + prefix, " \"", 2) != 0 || section[length - 1] != '"')
		return false;
	(void)snprintf(name, SECTION_NAME_SIZE, "%.*s", (int)(length - prefix - 3),
		       section + prefix + 2);
	return true;
}

static int set_text(struct reading *r, char **text, const char *value)
{
	free(*text);
	*text = strdup(value);
	return *text ? 1 : complain(r, "out of memory");
}

static int set_flag(struct reading *r, bool *flag, const char *name, const char *value)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(value, yes[i]) != 0 && strcmp(value, no[i]) != 0)
			continue;
		*flag = strcmp(value, yes[i]) == 0;
		return 1;
	}
	return complain(r, "%s: invalid value '%.60s' (yes or no)", name, value);
}

static int set_duration(struct reading *r, int64_t *ns, const char *name, const char *value)
{
	if (units_parse_duration(value, ns) == 0)
		return 1;
	return complain(r, "%s: invalid duration '%.60s' (examples: 15m, 72h, 7d)", name, value);
}

static int set_space(struct reading *r, struct prune_space *space, const char *name,
		     const char *value)
{
	if (prune_space_parse(value, space) == 0)
		return 1;
	return complain(r, "%s: invalid size '%.60s' (examples: 10G, 500MB, 10%%)", name, value);
}

/* The file has passwords: it must exist, and only root may be able to read it. */
static int set_credentials(struct reading *r, const char *path)
{
	struct stat st;

	if (path[0] != '/')
		return complain(r, "credentials: '%.60s' is not an absolute path", path);
	if (stat(path, &st) < 0)
		return complain(r, "credentials: %.100s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 077))
		return complain(r,
				"credentials: %.100s must be a file that only root can read "
				"(chown root, chmod 600)",
				path);
	return set_text(r, &r->file->credentials, path);
}

static int read_agent(struct reading *r, const char *name, const char *value)
{
	if (strcmp(name, "root") == 0)
		return set_text(r, &r->file->root, value);
	if (strcmp(name, "socket") == 0)
		return set_text(r, &r->file->socket, value);
	if (strcmp(name, "backend") == 0)
		return set_text(r, &r->file->backend, value);
	if (strcmp(name, "read_only_socket") == 0)
		return set_text(r, &r->file->read_only_socket, value);
	if (strcmp(name, "group") == 0)
		return set_text(r, &r->file->group, value);
	if (strcmp(name, "read_only_group") == 0)
		return set_text(r, &r->file->read_only_group, value);
	if (strcmp(name, "credentials") == 0)
		return set_credentials(r, value);
	if (strcmp(name, "keep_blobs") == 0)
		return set_flag(r, &r->file->keep_blobs, name, value);
	return complain(r,
			"unknown key '%.60s' in [agent] (keys: root, socket, read_only_socket, "
			"group, read_only_group, backend, credentials, keep_blobs)",
			name);
}

static int read_snapshots(struct reading *r, const char *name, const char *value)
{
	if (strcmp(name, "keep_removed") == 0)
		return set_space(r, &r->file->keeping.max_used, name, value);
	if (strcmp(name, "keep_free") == 0)
		return set_space(r, &r->file->keeping.min_free, name, value);
	if (strcmp(name, "share_namespaces") == 0)
		return set_flag(r, &r->file->share_namespaces, name, value);
	if (strcmp(name, "mounts") != 0)
		return complain(r,
				"unknown key '%.60s' in [snapshots] (keys: mounts, keep_removed, "
				"keep_free, share_namespaces)",
				name);
	r->file->agent_mounts = strcmp(value, "agent") == 0;
	if (r->file->agent_mounts || strcmp(value, "client") == 0)
		return 1;
	return complain(r, "mounts: invalid value '%.60s' (client or agent)", value);
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
static int read_upkeep(struct reading *r, const char *value)
{
	cleanup(free_ptr) char *list = strdup(value);
	char *save = NULL;

	r->upkeep_given = true;
	if (!list)
		return complain(r, "out of memory");
	for (char *name = strtok_r(list, ", \t", &save); name;
	     name = strtok_r(NULL, ", \t", &save)) {
		struct error e = { 0 };

		if (usage_upkeep_names_check(name, &e) < 0)
			return complain(r, "upkeep: %s", e.text);
		if (r->file->upkeep_count == USAGE_UPKEEP_NAMES_MAX)
			return complain(r, "upkeep: more than %d names", USAGE_UPKEEP_NAMES_MAX);
		if (add_upkeep(r->file, name) < 0)
			return complain(r, "out of memory");
	}
	return 1;
}

static int read_accounting(struct reading *r, const char *name, const char *value)
{
	if (strcmp(name, "upkeep") == 0)
		return read_upkeep(r, value);
	if (strcmp(name, "keep_readers") == 0)
		return set_duration(r, &r->file->keep_readers_ns, name, value);
	return complain(r, "unknown key '%.60s' in [accounting] (keys: upkeep, keep_readers)",
			name);
}

static int set_socket(struct reading *r, char **text, const char *name, const char *value)
{
	static const char prefix[] = "unix://";

	if (strncmp(value, prefix, strlen(prefix)) == 0)
		value += strlen(prefix);
	if (value[0] != '/')
		return complain(r, "%s: '%.60s' is not the absolute path of a socket", name, value);
	return set_text(r, text, value);
}

static int set_timeout(struct reading *r, int64_t *timeout_ns, const char *value)
{
	int64_t ns = 0;

	if (!set_duration(r, &ns, "timeout", value))
		return 0;
	if (ns <= 0)
		return complain(r, "timeout: '%.60s' is not longer than zero", value);
	*timeout_ns = ns;
	return 1;
}

static int set_name(struct reading *r, char **text, const char *name, const char *value)
{
	if (!*value || strchr(value, '/'))
		return complain(r, "%s: invalid name '%.60s'", name, value);
	return set_text(r, text, value);
}

static int set_evict(struct reading *r, struct owner_settings *o, const char *value)
{
	if (owner_settings_set_evict(o, value) == 0)
		return 1;
	return complain(r, "evict: invalid value '%.60s' (%s)", value,
			owner_settings_evict_texts(o));
}

static int read_owner(struct reading *r, struct owner_settings *o, const char *name,
		      const char *value)
{
	if (strcmp(name, "address") == 0)
		return set_socket(r, &o->address, name, value);
	if (strcmp(name, "containerd") == 0)
		return set_socket(r, &o->containerd, name, value);
	if (strcmp(name, "namespace") == 0)
		return set_name(r, &o->namespace, name, value);
	if (strcmp(name, "snapshotter") == 0)
		return set_name(r, &o->snapshotter, name, value);
	if (strcmp(name, "timeout") == 0)
		return set_timeout(r, &o->timeout_ns, value);
	if (strcmp(name, "evict") != 0)
		return complain(r,
				"unknown key '%.60s' of an owner (keys: address, containerd, "
				"namespace, snapshotter, evict, timeout)",
				name);
	return set_evict(r, o, value);
}

/* A list by commas. */
static int add_namespaces(struct reading *r, struct owner_settings *o, const char *value)
{
	cleanup(free_ptr) char *list = strdup(value);
	char *save = NULL;

	if (!list)
		return complain(r, "out of memory");
	for (char *name = strtok_r(list, ", \t", &save); name;
	     name = strtok_r(NULL, ", \t", &save)) {
		if (strchr(name, '/'))
			return complain(r, "namespaces: invalid name '%.60s'", name);
		if (owner_settings_add_namespace(o, name) < 0)
			return complain(r, "out of memory");
	}
	return 1;
}

/* The owner of the section, which the first line of the section makes. NULL: the fault is noted. */
static struct owner_settings *find_owner(struct reading *r, enum owner_kind kind, const char *name)
{
	struct owners_settings *all = &r->file->owners;
	struct owner_settings *o = NULL;
	int code;

	if (all->count > 0 && strcmp(all->items[all->count - 1].name, name) == 0 &&
	    all->items[all->count - 1].kind == kind)
		return &all->items[all->count - 1];
	code = owner_settings_add(all, kind, name, &o);
	if (code == -EEXIST)
		complain(r, "owner '%s' exists already", name);
	else if (code == -E2BIG)
		complain(r, "there can be %d owners", OWNERS_MAX);
	else if (code < 0)
		complain(r, "out of memory");
	return o;
}

/* containerd is an owner, and holds the blobs that the agent unpacks. */
static int read_containerd(struct reading *r, const char *name, const char *value)
{
	struct owner_settings *o = find_owner(r, OWNER_CONTAINERD, "containerd");

	if (!o)
		return 0;
	if (strcmp(name, "address") == 0)
		return set_socket(r, &r->file->containerd_address, name, value) &&
		       set_socket(r, &o->address, name, value);
	if (strcmp(name, "timeout") == 0)
		return set_timeout(r, &r->file->containerd_timeout_ns, value) &&
		       set_timeout(r, &o->timeout_ns, value);
	if (strcmp(name, "evict") == 0)
		return set_evict(r, o, value);
	if (strcmp(name, "namespaces") == 0)
		return add_namespaces(r, o, value);
	if (strcmp(name, "snapshotter") == 0)
		return set_name(r, &o->snapshotter, name, value);
	return complain(r,
			"unknown key '%.60s' in [containerd] (keys: address, timeout, evict, "
			"namespaces, snapshotter)",
			name);
}

static int read_docker(struct reading *r, const char *name, const char *value)
{
	struct owner_settings *o = find_owner(r, OWNER_DOCKER, "docker");

	return o ? read_owner(r, o, name, value) : 0;
}

static int read_buildkit(struct reading *r, const char *section, const char *name,
			 const char *value)
{
	char owner[SECTION_NAME_SIZE];
	struct owner_settings *o;

	if (!read_section_name(section, "buildkit", owner))
		return complain(r,
				"the section of a BuildKit is [buildkit \"name\"], with a name of "
				"1 to %zu bytes",
				sizeof(owner) - 3);
	o = find_owner(r, OWNER_BUILDKIT, owner);
	return o ? read_owner(r, o, name, value) : 0;
}

/* [metrics] and [page]. */
static int read_web(struct reading *r, const char *section, const char *name, const char *value,
		    char **socket, char **address)
{
	union loopback parsed;

	if (strcmp(name, "socket") == 0)
		return set_text(r, socket, value);
	if (strcmp(name, "address") != 0)
		return complain(r, "unknown key '%.60s' in [%s] (keys: socket, address)", name,
				section);
	if (loopback_parse(value, &parsed) < 0)
		return complain(r,
				"address: '%.60s' is not a loopback address with a port "
				"(examples: 127.0.0.1:9842, [::1]:9842)",
				value);
	return set_text(r, address, value);
}

static int read_prune(struct reading *r, const char *name, const char *value)
{
	if (strcmp(name, "automatic") == 0)
		return set_flag(r, &r->file->automatic, name, value);
	if (strcmp(name, "interval") == 0)
		return set_duration(r, &r->file->interval_ns, name, value);
	return complain(r, "unknown key '%.60s' in [prune] (keys: automatic, interval)", name);
}

static int add_filter(struct reading *r, struct prune_policy *policy, const char *value)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	struct error e = { 0 };

	if (record_filter_parse(&value, 1, &filter, &e) < 0)
		return complain(r, "%s", e.text);
	return prune_policy_add_filter(policy, value) == 0 ? 1 : complain(r, "out of memory");
}

static int set_scorer(struct reading *r, struct prune_policy *policy, const char *value)
{
	if (!prune_scorer_find(value))
		return complain(r, "unknown scorer '%.60s' (scorers: " PRUNE_SCORER_NAMES ")",
				value);
	return prune_policy_set_scorer(policy, value) == 0 ? 1 : complain(r, "out of memory");
}

/* The policy of the section, which the first line of the section makes. NULL: the fault is noted.
 */
static struct prune_policy *find_policy(struct reading *r, const char *section)
{
	struct prune_policies *all = &r->file->policies;
	char name[SECTION_NAME_SIZE];

	if (!read_section_name(section, "policy", name)) {
		complain(
			r,
			"the section of a policy is [policy \"name\"], with a name of 1 to %zu bytes",
			sizeof(name) - 2);
		return NULL;
	}
	if (all->count > 0 && strcmp(all->items[all->count - 1].name, name) == 0)
		return &all->items[all->count - 1];
	if (prune_policies_find(all, name)) {
		complain(r, "policy '%s' exists already", name);
		return NULL;
	}
	return prune_policies_add(all, name);
}

static int read_policy(struct reading *r, const char *section, const char *name, const char *value)
{
	struct prune_policy *p = find_policy(r, section);

	if (!p)
		return complain(r, "out of memory");
	if (strcmp(name, "filter") == 0)
		return add_filter(r, p, value);
	if (strcmp(name, "all") == 0)
		return set_flag(r, &p->all, name, value);
	if (strcmp(name, "keep_duration") == 0)
		return set_duration(r, &p->keep_duration_ns, name, value);
	if (strcmp(name, "reserved_space") == 0)
		return set_space(r, &p->limits.reserved, name, value);
	if (strcmp(name, "max_used_space") == 0)
		return set_space(r, &p->limits.max_used, name, value);
	if (strcmp(name, "min_free_space") == 0)
		return set_space(r, &p->limits.min_free, name, value);
	if (strcmp(name, "scorer") == 0)
		return set_scorer(r, p, value);
	if (strcmp(name, "owner") == 0)
		return prune_policy_set_owner(p, value) == 0 ? 1 : complain(r, "out of memory");
	return complain(r,
			"unknown key '%.60s' in a policy (keys: filter, all, keep_duration, "
			"reserved_space, max_used_space, min_free_space, scorer, owner)",
			name);
}

static int read_line(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;

	if (strcmp(section, "agent") == 0)
		return read_agent(r, name, value);
	if (strcmp(section, "accounting") == 0)
		return read_accounting(r, name, value);
	if (strcmp(section, "snapshots") == 0)
		return read_snapshots(r, name, value);
	if (strcmp(section, "containerd") == 0)
		return read_containerd(r, name, value);
	if (strcmp(section, "metrics") == 0)
		return read_web(r, section, name, value, &r->file->metrics_socket,
				&r->file->metrics_address);
	if (strcmp(section, "page") == 0)
		return read_web(r, section, name, value, &r->file->page_socket,
				&r->file->page_address);
	if (strcmp(section, "prune") == 0)
		return read_prune(r, name, value);
	if (strcmp(section, "docker") == 0)
		return read_docker(r, name, value);
	if (strncmp(section, "buildkit", strlen("buildkit")) == 0)
		return read_buildkit(r, section, name, value);
	if (strncmp(section, "policy", strlen("policy")) == 0)
		return read_policy(r, section, name, value);
	return complain(r,
			"unknown section [%.60s] (sections: [agent], [accounting], [snapshots], "
			"[containerd], [buildkit \"name\"], [docker], [metrics], "
			"[page], [prune], [policy \"name\"])",
			section);
}

/* A policy without limits would evict all that it matches in every run, which is never meant. */
static int check_policies(const char *path, const struct config_file *f, struct error *e)
{
	for (size_t i = 0; i < f->policies.count; i++) {
		const struct prune_policy *p = &f->policies.items[i];

		if (!p->keep_duration_ns && !prune_limits_are_set(&p->limits))
			return error_set(e, -EINVAL,
					 "%s: policy '%s' would evict everything that it matches, "
					 "at once: it needs a keep_duration or a limit",
					 path, p->name);
		if (*p->owner && !owner_settings_find(&f->owners, p->owner))
			return error_set(e, -EINVAL,
					 "%s: policy '%s' is about the owner '%.60s', for which "
					 "there is no section [buildkit], [docker] or "
					 "[containerd]",
					 path, p->name, p->owner);
	}
	return 0;
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
	struct reading r = { .file = f };
	int line;

	errno = 0;
	line = ini_parse_file(stream, read_line, &r);
	if (ferror(stream)) /* for example, because it is a directory */
		return error_set(e, errno ? -errno : -EIO, "read %s: %s", path,
				 strerror(errno ? errno : EIO));
	if (line < 0)
		return error_set(e, -ENOMEM, "read %s: out of memory", path);
	if (line > 0)
		return error_set(e, -EINVAL, "%s:%d: %s", path, line,
				 r.problem[0]
					 ? r.problem
					 : "this is not a [section] or a line name = value, or it "
					   "is too long");
	*ret_upkeep_given = r.upkeep_given;
	return 0;
}

int config_file_read(const char *path, bool required, struct config_file *ret_file, struct error *e)
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
	code = check_policies(path, &f, e);
	if (code < 0)
		return code;
	if (f.policies.count == 0 && prune_policies_defaults(&f.policies) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_file = f;
	f = (struct config_file){ 0 };
	return 0;
}

void config_file_free(struct config_file *f)
{
	free(f->root);
	free(f->socket);
	free(f->backend);
	free(f->read_only_socket);
	free(f->group);
	free(f->read_only_group);
	free(f->credentials);
	free(f->metrics_socket);
	free(f->metrics_address);
	free(f->page_socket);
	free(f->page_address);
	free(f->containerd_address);
	owners_settings_free(&f->owners);
	for (size_t i = 0; i < f->upkeep_count; i++)
		free(f->upkeep[i]);
	free(f->upkeep);
	prune_policies_free(&f->policies);
	*f = (struct config_file){ 0 };
}
