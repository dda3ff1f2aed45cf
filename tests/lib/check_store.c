// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/check_store.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "overlay/mount_table.h"
#include "overlay/overlay_mount.h"

bool failed_at(int line, const char *condition, const struct error *e)
{
	printf("  line %d: %s (%s; last error: %s)\n", line, condition, strerror(errno),
	       e->code ? e->text : "none");
	return false;
}

bool make_store(const char *path, struct check *ret_check)
{
	static const char *const directories[] = { "layers", "l", "empty", "staging", "mounts" };

	if (mkdir(path, 0700) < 0)
		return false;
	*ret_check = (struct check){ .path = path };
	ret_check->store = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		if (mkdirat(ret_check->store, directories[i], 0700) < 0)
			return false;
	return true;
}

bool write_file(int directory, const char *name)
{
	cleanup(close_fd) int fd = openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name);
}

bool has_file(int directory, const char *name)
{
	return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

struct layer_name add_layer(struct check *c)
{
	struct layer_name name;
	char path[64], target[64];

	(void)snprintf(name.text, sizeof(name.text), "%06x", ++c->last_layer);
	(void)snprintf(path, sizeof(path), "layers/%s", name.text);
	(void)mkdirat(c->store, path, 0700);
	(void)snprintf(path, sizeof(path), "layers/%s/work", name.text);
	(void)mkdirat(c->store, path, 0700);
	(void)snprintf(path, sizeof(path), "layers/%s/fs", name.text);
	(void)mkdirat(c->store, path, 0700);
	cleanup(close_fd) int fs = openat(c->store, path, O_PATH | O_CLOEXEC);
	(void)write_file(fs, name.text);
	(void)snprintf(path, sizeof(path), "l/%s", name.text);
	(void)snprintf(target, sizeof(target), "../layers/%s/fs", name.text);
	(void)!symlinkat(target, c->store, path);
	return name;
}

bool has_in_layer(struct check *c, const char *layer, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "layers/%s/fs/%s", layer, name);
	return has_file(c->store, path);
}

int mount_pair(struct check *c, const char *lower, const char *upper, int *ret_mount,
	       struct error *e)
{
	struct overlay_spec spec = { .lowers = &lower, .lower_count = 1, .upper = upper };

	return overlay_mount_create(c->store, &c->features, &spec, ret_mount, e);
}

size_t count_mounts(const struct check *c)
{
	cleanup(mount_table_free) struct mount_table *t = NULL;
	cleanup(free_ptr) char *path = realpath(c->path, NULL);

	return path && mount_table_below(path, &t, NULL) == 0 ? t->count : SIZE_MAX;
}

bool is_empty(int parent, const char *name)
{
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 && mkdirat(parent, name, 0700) == 0;
}

int check_attach_new(struct check *c, const char *name, int *ret_mount, struct error *e)
{
	struct layer_name lower = add_layer(c), upper = add_layer(c);
	cleanup(close_fd) int mounts = openat(c->store, "mounts", O_PATH | O_CLOEXEC);
	cleanup(close_fd) int mount = -EBADF;

	if (mkdirat(mounts, name, 0700) < 0 ||
	    mount_pair(c, lower.text, upper.text, &mount, e) < 0 ||
	    overlay_mount_attach(mount, mounts, name, e) < 0)
		return -1;
	if (ret_mount)
		*ret_mount = take_fd(&mount);
	return take_fd(&mounts);
}
