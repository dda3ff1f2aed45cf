/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int set_socket(struct config_line *l, char **text, const char *name, const char *value)
{
	static const char prefix[] = "unix://";

	if (strncmp(value, prefix, strlen(prefix)) == 0)
		value += strlen(prefix);
	if (value[0] != '/')
		return config_line_refuse(l, "%s: '%.60s' is not the absolute path of a socket",
					  name, value);
	return config_line_text(l, text, value);
}

static int set_timeout(struct config_line *l, int64_t *timeout_ns, const char *value)
{
	int64_t ns = 0;

	if (!config_line_duration(l, &ns, "timeout", value))
		return 0;
	if (ns <= 0)
		return config_line_refuse(l, "timeout: '%.60s' is not longer than zero", value);
	*timeout_ns = ns;
	return 1;
}

static int set_name(struct config_line *l, char **text, const char *name, const char *value)
{
	if (!*value || strchr(value, '/'))
		return config_line_refuse(l, "%s: invalid name '%.60s'", name, value);
	return config_line_text(l, text, value);
}

static int set_evict(struct config_line *l, struct owner_settings *o, const char *value)
{
	if (owner_settings_set_evict(o, value) == 0)
		return 1;
	return config_line_refuse(l, "evict: invalid value '%.60s' (%s)", value,
				  owner_settings_evict_texts(o));
}

static int read_owner(struct config_line *l, struct owner_settings *o, const char *name,
		      const char *value)
{
	if (strcmp(name, "address") == 0)
		return set_socket(l, &o->address, name, value);
	if (strcmp(name, "containerd") == 0)
		return set_socket(l, &o->containerd, name, value);
	if (strcmp(name, "namespace") == 0)
		return set_name(l, &o->namespace, name, value);
	if (strcmp(name, "snapshotter") == 0)
		return set_name(l, &o->snapshotter, name, value);
	if (strcmp(name, "timeout") == 0)
		return set_timeout(l, &o->timeout_ns, value);
	if (strcmp(name, "evict") != 0)
		return config_line_refuse(
			l,
			"unknown key '%.60s' of an owner (keys: address, containerd, "
			"namespace, snapshotter, evict, timeout)",
			name);
	return set_evict(l, o, value);
}

/* A list by commas. */
static int add_namespaces(struct config_line *l, struct owner_settings *o, const char *value)
{
	cleanup(free_ptr) char *list = strdup(value);
	char *save = NULL;

	if (!list)
		return config_line_refuse(l, "out of memory");
	for (char *name = strtok_r(list, ", \t", &save); name;
	     name = strtok_r(NULL, ", \t", &save)) {
		if (strchr(name, '/'))
			return config_line_refuse(l, "namespaces: invalid name '%.60s'", name);
		if (owner_settings_add_namespace(o, name) < 0)
			return config_line_refuse(l, "out of memory");
	}
	return 1;
}

/* The owner of the section, which the first line of the section makes. NULL: the fault is noted. */
static struct owner_settings *find_owner(struct config_line *l, enum owner_kind kind,
					 const char *name)
{
	struct owners_settings *all = &l->file->owners;
	struct owner_settings *o = NULL;
	int code;

	if (all->count > 0 && strcmp(all->items[all->count - 1].name, name) == 0 &&
	    all->items[all->count - 1].kind == kind)
		return &all->items[all->count - 1];
	code = owner_settings_add(all, kind, name, &o);
	if (code == -EEXIST)
		config_line_refuse(l, "owner '%s' exists already", name);
	else if (code == -E2BIG)
		config_line_refuse(l, "there can be %d owners", OWNERS_MAX);
	else if (code < 0)
		config_line_refuse(l, "out of memory");
	return o;
}

/* containerd is an owner, and holds the blobs that the agent unpacks. */
int config_owners_read_containerd(struct config_line *l, const char *name, const char *value)
{
	struct owner_settings *o = find_owner(l, OWNER_CONTAINERD, "containerd");

	if (!o)
		return 0;
	if (strcmp(name, "address") == 0)
		return set_socket(l, &l->file->containerd_address, name, value) &&
		       set_socket(l, &o->address, name, value);
	if (strcmp(name, "timeout") == 0)
		return set_timeout(l, &l->file->containerd_timeout_ns, value) &&
		       set_timeout(l, &o->timeout_ns, value);
	if (strcmp(name, "evict") == 0)
		return set_evict(l, o, value);
	if (strcmp(name, "namespaces") == 0)
		return add_namespaces(l, o, value);
	if (strcmp(name, "snapshotter") == 0)
		return set_name(l, &o->snapshotter, name, value);
	return config_line_refuse(
		l,
		"unknown key '%.60s' in [containerd] (keys: address, timeout, evict, "
		"namespaces, snapshotter)",
		name);
}

int config_owners_read_docker(struct config_line *l, const char *name, const char *value)
{
	struct owner_settings *o = find_owner(l, OWNER_DOCKER, "docker");

	return o ? read_owner(l, o, name, value) : 0;
}

int config_owners_read_buildkit(struct config_line *l, const char *section, const char *name,
				const char *value)
{
	char owner[CONFIG_SECTION_NAME_SIZE];
	struct owner_settings *o;

	if (!config_line_section_name(section, "buildkit", owner))
		return config_line_refuse(
			l,
			"the section of a BuildKit is [buildkit \"name\"], with a name of "
			"1 to %zu bytes",
			sizeof(owner) - 3);
	o = find_owner(l, OWNER_BUILDKIT, owner);
	return o ? read_owner(l, o, name, value) : 0;
}
