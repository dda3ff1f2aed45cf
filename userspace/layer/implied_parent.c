/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/implied_parent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "layer/file_attributes.h"

int implied_parent_dress(const struct implied_parent *p, int directory_fd, const char *path,
			 struct error *e)
{
	struct file_attributes a = { .mode = 0755 };
	cleanup(close_fd) int lower = lower_layers_open(&p->lowers, path);
	struct stat st;
	int code;

	if (lower >= 0) {
		if (fstat(lower, &st) < 0)
			return error_set(e, -errno, "look at a lower directory: %s",
					 strerror(errno));
		a = file_attributes_of(&st);
		code = xattr_copy(lower, directory_fd, e);
		if (code < 0)
			return code;
	}
	code = file_attributes_set(directory_fd, &a, e);
	return code < 0 ? code : directory_times_add(p->times, path, a.times, e);
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
	return error_set(e, S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR,
			 "its directory %s is %s in this layer", beneath_show(path, shown),
			 S_ISLNK(st.st_mode) ? "a symbolic link" : "not a directory");
}

int implied_parent_make(int parent, const char *name, const char *path, void *user, struct error *e)
{
	const struct implied_parent *p = user;
	cleanup(close_fd) int fd = -EBADF;
	int code = make_directory(parent, name, path, e);

	if (code < 0)
		return code;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, -errno, "open the new directory: %s", strerror(errno));
	return implied_parent_dress(p, fd, path, e);
}
