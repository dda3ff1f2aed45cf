/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/implied_parent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "layer/file_attributes.h"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* *ret_fd: the directory in this one lower. 0: it is not there, and may be in a lower below;
 * 1: found; -ENOENT: this lower hides it. */
static int look_in_lower(int lower_fd, const char *path, int *ret_fd)
{
	cleanup(close_fd) int fd = openat(lower_fd, ".", DIRECTORY);
	bool opaque = false;

	while (fd >= 0 && *path) {
		char name[NAME_MAX + 1];
		size_t part = strcspn(path, "/");
		int below;

		if (part >= sizeof(name))
			return 0;
		memcpy(name, path, part);
		name[part] = '\0';
		path += part + (path[part] == '/');
		below = openat(fd, name, DIRECTORY);
		if (below < 0)
			return errno == ENOENT && !opaque ? 0 : -ENOENT;
		cleanup_close_fd(&fd);
		fd = below;
		opaque = opaque || directory_is_opaque(fd);
	}
	if (fd < 0)
		return -ENOENT;
	*ret_fd = take_fd(&fd);
	return 1;
}

int implied_parent_dress(const struct implied_parent *p, int directory_fd, const char *path,
			 struct error *e)
{
	struct file_attributes a = { .mode = 0755 };
	cleanup(close_fd) int lower = -EBADF;
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < p->lower_count && r == 0; i++)
		r = look_in_lower(p->lower_fds[i], path, &lower);
	if (r == 1) {
		if (fstat(lower, &st) < 0)
			return error_set(e, -errno, "look at a lower directory: %s",
					 strerror(errno));
		a = file_attributes_of(&st);
		r = xattr_copy(lower, directory_fd, e);
		if (r < 0)
			return r;
	}
	r = file_attributes_set(directory_fd, &a, e);
	return r < 0 ? r : directory_times_add(p->times, path, a.times, e);
}

int implied_parent_replace_whiteout(int parent, const char *name, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;

	if (unlinkat(parent, name, 0) < 0 || mkdirat(parent, name, 0755) < 0)
		return error_set(e, -errno, "make a directory where a whiteout is: %s",
				 strerror(errno));
	fd = openat(parent, name, DIRECTORY);
	if (fd < 0)
		return error_set(e, -errno, "open the new directory: %s", strerror(errno));
	return xattr_set(fd, OVERLAY_OPAQUE, "y", 1, e);
}

static int make_directory(int parent, const char *name, const char *path, struct error *e)
{
	char shown[BENEATH_SHOWN_SIZE];
	struct stat st;

	if (mkdirat(parent, name, 0755) == 0)
		return 0;
	if (errno != EEXIST || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, -errno, "make the directory %s: %s", beneath_show(path, shown),
				 strerror(errno));
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return implied_parent_replace_whiteout(parent, name, e);
	if (S_ISLNK(st.st_mode))
		return error_set(e, -EPERM,
				 "its directory %s is a symbolic link, and these are not followed",
				 beneath_show(path, shown));
	return error_set(e, -ENOTDIR, "what should be its directory, %s, is none",
			 beneath_show(path, shown));
}

int implied_parent_make(int parent, const char *name, const char *path, void *user, struct error *e)
{
	const struct implied_parent *p = user;
	cleanup(close_fd) int fd = -EBADF;
	int r = make_directory(parent, name, path, e);

	if (r < 0)
		return r;
	fd = openat(parent, name, DIRECTORY);
	if (fd < 0)
		return error_set(e, -errno, "open the new directory: %s", strerror(errno));
	return implied_parent_dress(p, fd, path, e);
}
