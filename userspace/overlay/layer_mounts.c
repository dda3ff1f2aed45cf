// SPDX-License-Identifier: Apache-2.0
#include "overlay/layer_mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "overlay/mount_namespaces.h"

#define LAYER_NAME_SIZE 32

struct search {
	char prefix[PATH_MAX]; /* of the paths of the store's layers */
	void (*visit)(const char *layer, dev_t device, void *user);
	void *user;
};

/* "NAME/fs" up to the end of a path in the options: gives the name. */
static bool take_name(const char *at, char ret_name[LAYER_NAME_SIZE])
{
	size_t length = strcspn(at, "/:,");

	if (length == 0 || length >= LAYER_NAME_SIZE || strncmp(at + length, "/fs", 3) != 0 ||
	    !strchr(":,", at[length + 3]))
		return false;
	(void)snprintf(ret_name, LAYER_NAME_SIZE, "%.*s", (int)length, at);
	return true;
}

/* mountinfo writes a blank as \040. */
static void unescape(const char *from, char to[PATH_MAX])
{
	size_t length = 0;

	while (*from && length < PATH_MAX - 1) {
		unsigned int byte;

		if (*from == '\\' && sscanf(from + 1, "%3o", &byte) == 1) {
			to[length++] = (char)byte;
			from += 4;
		} else {
			to[length++] = *from++;
		}
	}
	to[length] = '\0';
}

/* Names relative to a store may be those of another one. The root of an overlay has the inode
 * number of the root of one of its layers, on the same file system. */
static bool is_of_store(const struct search *s, const struct namespace_mount *m, const char *name)
{
	char point[PATH_MAX], layer[PATH_MAX + LAYER_NAME_SIZE + 4];
	struct stat seen, own;

	unescape(m->point, point);
	cleanup(close_fd) int root = openat(m->process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(layer, sizeof(layer), "%s%s/fs", s->prefix, name);
	if (stat(layer, &own) < 0)
		return false;
	if (root < 0 || fstatat(root, point[1] ? point + 1 : ".", &seen, AT_NO_AUTOMOUNT) < 0)
		return true; /* cannot be told: it may be ours */
	return seen.st_ino == own.st_ino;
}

/* Visits the layers that are named with the prefix. */
static void visit_names(const struct search *s, const struct namespace_mount *m, const char *prefix)
{
	char name[LAYER_NAME_SIZE];

	for (const char *at = strstr(m->options, prefix); at; at = strstr(at + 1, prefix))
		if (at > m->options && strchr("=:", at[-1]) && take_name(at + strlen(prefix), name))
			s->visit(name, m->device, s->user);
}

static bool has_layer_of_store(const struct search *s, const struct namespace_mount *m)
{
	static const char relative[] = "layers/";
	char name[LAYER_NAME_SIZE];

	for (const char *at = strstr(m->options, relative); at; at = strstr(at + 1, relative))
		if (at > m->options && strchr("=:", at[-1]) &&
		    take_name(at + strlen(relative), name) && is_of_store(s, m, name))
			return true;
	return false;
}

static bool look_at_mount(const struct namespace_mount *m, void *user)
{
	const struct search *s = user;

	if (strcmp(m->file_system, "overlay") != 0)
		return false;
	visit_names(s, m, s->prefix);
	if (has_layer_of_store(s, m))
		visit_names(s, m, "layers/");
	return false;
}

void layer_mounts_visit(const char *store,
			void (*visit)(const char *layer, dev_t device, void *user), void *user)
{
	struct search s = { .visit = visit, .user = user };

	(void)snprintf(s.prefix, sizeof(s.prefix), "%s/layers/", store);
	(void)mount_namespaces_visit_all(look_at_mount, &s);
}
