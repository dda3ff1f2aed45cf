/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_upkeep_names.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "usage/usage_handle.h"
#include "usage/usage_layers.h"
#include "usage/usage_upkeep.h"

#define CGROUP_PREFIX "cgroup:"

/* ---- names ---- */

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), end_length = strlen(end);

	return length > end_length && strcmp(name + length - end_length, end) == 0;
}

/* The path of a cgroup; NULL: the name is a program's. */
static const char *cgroup_path(const char *name)
{
	if (strncmp(name, CGROUP_PREFIX, strlen(CGROUP_PREFIX)) == 0)
		return name + strlen(CGROUP_PREFIX);
	return ends_in(name, ".service") || ends_in(name, ".scope") || ends_in(name, ".slice")
		       ? name
		       : NULL;
}

/* The next name of a path, and its length; 0 at the end. */
static size_t next_part(const char **at)
{
	*at += strspn(*at, "/");
	return strcspn(*at, "/");
}

static int check_cgroup(const char *name, const char *path, struct error *e)
{
	size_t depth = 0, length;

	while ((length = next_part(&path)) > 0) {
		if (length >= USAGE_CGROUP_NAME_SIZE || ++depth > USAGE_CGROUP_DEPTH)
			return error_set(e, -EINVAL,
					 "'%.60s' has a name of more than %d bytes, or more than "
					 "%d names",
					 name, USAGE_CGROUP_NAME_SIZE - 1, USAGE_CGROUP_DEPTH);
		path += length;
	}
	return depth > 0 ? 0 : error_set(e, -EINVAL, "'%.60s' is every cgroup", name);
}

int usage_upkeep_names_check(const char *name, struct error *e)
{
	const char *cgroup = cgroup_path(name), *path = cgroup ? cgroup : name;

	if (path[0] != '/')
		return error_set(e, -EINVAL,
				 "'%.60s' is not an absolute path of a program or cgroup "
				 "(examples: /usr/bin/buildkitd, /system.slice/backup.service, "
				 "cgroup:/backup)",
				 name);
	return cgroup ? check_cgroup(name, cgroup, e) : 0;
}

/* ---- maps of which some keys are wanted ---- */

/* Keys of one size, one after the other. */
struct key_set {
	char *keys;
	size_t size, count;
};

static void key_set_free(struct key_set *set)
{
	free(set->keys);
}
DEFINE_CLEANUP_VALUE(struct key_set, key_set_free)

static int key_set_add(struct key_set *set, const void *key)
{
	char *grown = realloc(set->keys, (set->count + 1) * set->size);

	if (!grown)
		return -ENOMEM;
	set->keys = grown;
	memcpy(grown + set->count++ * set->size, key, set->size);
	return 0;
}

static bool key_set_has(const struct key_set *set, const void *key)
{
	for (size_t i = 0; i < set->count; i++)
		if (memcmp(set->keys + i * set->size, key, set->size) == 0)
			return true;
	return false;
}

static int delete_others(int map, const struct key_set *wanted)
{
	struct key_set all = { .size = wanted->size };
	cleanup(key_set_free) struct key_set found = all;
	char key[sizeof(struct usage_cgroup_step)];
	bool first = true;
	int code = 0;

	while (code == 0 && bpf_map_get_next_key(map, first ? NULL : key, key) == 0) {
		code = key_set_has(wanted, key) ? 0 : key_set_add(&found, key);
		first = false;
	}
	for (size_t i = 0; i < found.count; i++)
		(void)bpf_map_delete_elem(map, found.keys + i * found.size);
	return code;
}

/* ---- programs ---- */

/* On overlayfs only directories show the device of the superblock. */
static int find_overlay_device(int fd, struct usage_root *root)
{
	char link[64], path[PATH_MAX];
	ssize_t length;
	struct stat st;
	char *slash;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return -errno;
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -ENOENT;
	slash[1] = '\0';
	if (stat(path, &st) < 0)
		return -errno;
	root->device = (uint32_t)(major(st.st_dev) << 20 | minor(st.st_dev));
	return 0;
}

static int identify(int fd, struct usage_root *ret_root)
{
	struct usage_root root = { .generation = USAGE_ANY_GENERATION };
	struct statfs fs;
	struct stat st;

	if (usage_layers_identify(fd, ret_root, NULL) == 0)
		return 0;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	root.inode = st.st_ino;
	root.device = (uint32_t)(major(st.st_dev) << 20 | minor(st.st_dev));
	*ret_root = root;
	return fs.f_type == OVERLAYFS_SUPER_MAGIC ? find_overlay_device(fd, ret_root) : 0;
}

/* 1: it is new to the kernel side. */
static int add_program(struct usage_bpf *u, const char *path, struct key_set *wanted,
		       struct error *e)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct usage_root root;
	uint32_t value = 1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || identify(fd, &root) < 0)
		return 0;
	if (key_set_add(wanted, &root) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (bpf_map_lookup_elem(u->maps.upkeep_programs, &root, &value) == 0)
		return 0;
	if (bpf_map_update_elem(u->maps.upkeep_programs, &root, &value, BPF_ANY) < 0)
		return error_set(e, -errno, "name program %s as upkeep: %s", path, strerror(errno));
	return 1;
}

static int add_programs(struct usage_bpf *u, const char *const *names, size_t count,
			struct key_set *wanted, bool *ret_new, struct error *e)
{
	*ret_new = false;
	for (size_t i = 0; i < count; i++) {
		int code = cgroup_path(names[i]) ? 0 : add_program(u, names[i], wanted, e);

		if (code < 0)
			return code;
		*ret_new |= code > 0;
	}
	return 0;
}

int usage_upkeep_names_refresh(struct usage_bpf *u, const char *const *names, size_t count,
			       struct error *e)
{
	cleanup(key_set_free) struct key_set wanted = { .size = sizeof(struct usage_root) };
	bool is_new;
	int code;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	code = add_programs(u, names, count, &wanted, &is_new, e);
	return code < 0 || !is_new ? code : usage_upkeep_changed(u, e);
}

/* ---- cgroups ---- */

/* Of a path up to some name, the same in each agent. */
static uint32_t state_of(const char *path, const char *end)
{
	uint32_t state = 0x811c9dc5; /* FNV-1a */

	for (; path < end; path++)
		state = (state ^ (unsigned char)*path) * 0x01000193;
	return state ? state : 1;
}

/* "/a//b/" to "/a/b". */
static char *normalize(const char *path)
{
	char *normal = malloc(strlen(path) + 2), *to = normal;
	size_t length;

	while (normal && (length = next_part(&path)) > 0) {
		*to++ = '/';
		memcpy(to, path, length);
		to += length;
		path += length;
	}
	if (normal)
		*to = '\0';
	return normal;
}

static int add_cgroup(struct usage_bpf *u, const char *name, struct key_set *wanted,
		      struct error *e)
{
	cleanup(free_ptr) char *path = normalize(cgroup_path(name));
	const char *at = path;
	uint32_t from = 0;
	size_t length;

	if (!path)
		return error_set(e, -ENOMEM, "out of memory");
	while ((length = next_part(&at)) > 0) {
		struct usage_cgroup_step step = { .state = from };
		struct usage_cgroup_state to, before;

		memcpy(step.name, at, length);
		at += length;
		to = (struct usage_cgroup_state){ .state = state_of(path, at), .upkeep = !*at };
		if (bpf_map_lookup_elem(u->maps.upkeep_cgroups, &step, &before) == 0 &&
		    key_set_has(wanted, &step))
			to.upkeep |= before.upkeep;
		if (key_set_add(wanted, &step) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		if (bpf_map_update_elem(u->maps.upkeep_cgroups, &step, &to, BPF_ANY) < 0)
			return error_set(e, -errno, "name cgroup %s as upkeep: %s", path,
					 strerror(errno));
		from = to.state;
	}
	return 0;
}

static int set_cgroups(struct usage_bpf *u, const char *const *names, size_t count, struct error *e)
{
	cleanup(key_set_free) struct key_set wanted = { .size = sizeof(struct usage_cgroup_step) };

	for (size_t i = 0; i < count; i++) {
		int code = cgroup_path(names[i]) ? add_cgroup(u, names[i], &wanted, e) : 0;

		if (code < 0)
			return code;
	}
	return delete_others(u->maps.upkeep_cgroups, &wanted) < 0
		       ? error_set(e, -ENOMEM, "out of memory")
		       : 0;
}

int usage_upkeep_names_set(struct usage_bpf *u, const char *const *names, size_t count,
			   struct error *e)
{
	cleanup(key_set_free) struct key_set wanted = { .size = sizeof(struct usage_root) };
	bool is_new;
	int code;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	code = add_programs(u, names, count, &wanted, &is_new, e);
	if (code == 0 && delete_others(u->maps.upkeep_programs, &wanted) < 0)
		code = error_set(e, -ENOMEM, "out of memory");
	if (code == 0)
		code = set_cgroups(u, names, count, e);
	return code < 0 ? code : usage_upkeep_changed(u, e);
}
