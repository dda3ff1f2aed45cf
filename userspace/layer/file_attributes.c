/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/file_attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define OVERLAY_PREFIX "trusted.overlay."

struct file_attributes file_attributes_of(const struct stat *st)
{
	return (struct file_attributes){
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.times = { st->st_mtim, st->st_mtim },
	};
}

static int failed(const char *what, struct error *e)
{
	return error_set(e, -errno, "set its %s: %s", what, strerror(errno));
}

int file_attributes_set(int fd, const struct file_attributes *a, struct error *e)
{
	if (fchown(fd, a->uid, a->gid) < 0)
		return failed("owner", e);
	if (fchmod(fd, a->mode) < 0)
		return failed("mode", e);
	if (futimens(fd, a->times) < 0)
		return failed("times", e);
	return 0;
}

int file_attributes_set_at(int parent, const char *name, bool is_link,
			   const struct file_attributes *a, struct error *e)
{
	if (fchownat(parent, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return failed("owner", e);
	if (!is_link && fchmodat(parent, name, a->mode, AT_SYMLINK_NOFOLLOW) < 0)
		return failed("mode", e);
	if (utimensat(parent, name, a->times, AT_SYMLINK_NOFOLLOW) < 0)
		return failed("times", e);
	return 0;
}

enum xattr_kind xattr_kind_of(const char *name)
{
	static const char *const content[] = { "user.", "trusted.", "security.", "system." };

	if (strncmp(name, OVERLAY_PREFIX, strlen(OVERLAY_PREFIX)) == 0)
		return XATTR_OVERLAY;
	for (size_t i = 0; i < ARRAY_SIZE(content); i++)
		if (strncmp(name, content[i], strlen(content[i])) == 0)
			return XATTR_CONTENT;
	return XATTR_FOREIGN;
}

static int xattr_failed(const char *name, struct error *e)
{
	return error_set(e, -errno, "set its attribute %.100s: %s", name, strerror(errno));
}

int xattr_set(int fd, const char *name, const void *value, size_t size, struct error *e)
{
	return fsetxattr(fd, name, value, size, 0) < 0 ? xattr_failed(name, e) : 0;
}

int xattr_set_at(int parent, const char *file, const char *name, const void *value, size_t size,
		 struct error *e)
{
	/* setxattrat(2) exists since Linux 6.13. The path goes through a link of /proc/self, and
	 * its last component is not followed. */
	char path[NAME_MAX + 40];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", parent, file);
	return lsetxattr(path, name, value, size, 0) < 0 ? xattr_failed(name, e) : 0;
}

static int copy_one(int from, int to, const char *name, struct error *e)
{
	cleanup(free_ptr) char *value = malloc(XATTR_SIZE_MAX);
	ssize_t size;

	if (!value)
		return error_set(e, -ENOMEM, "out of memory");
	size = fgetxattr(from, name, value, XATTR_SIZE_MAX);
	if (size < 0)
		return errno == ENODATA ? 0 : xattr_failed(name, e);
	return xattr_set(to, name, value, (size_t)size, e);
}

int xattr_copy(int from, int to, struct error *e)
{
	cleanup(free_ptr) char *names = malloc(XATTR_LIST_MAX);
	ssize_t length;
	int code = 0;

	if (!names)
		return error_set(e, -ENOMEM, "out of memory");
	length = flistxattr(from, names, XATTR_LIST_MAX);
	if (length < 0 && errno != EOPNOTSUPP)
		return error_set(e, -errno, "list attributes: %s", strerror(errno));
	for (ssize_t at = 0; at < length && code == 0; at += (ssize_t)strlen(names + at) + 1)
		if (xattr_kind_of(names + at) == XATTR_CONTENT)
			code = copy_one(from, to, names + at, e);
	return code;
}

bool directory_is_opaque(int fd)
{
	char value;

	return fgetxattr(fd, OVERLAY_OPAQUE, &value, 1) == 1 && value == 'y';
}
