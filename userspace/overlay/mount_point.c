// SPDX-License-Identifier: Apache-2.0
#include "overlay/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "overlay/mount_holders.h"
#include "overlay/mount_table.h"

int mount_point_check_name(const char *name, struct error *e)
{
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(e, -EINVAL, "'%s' is not a name of a mount point in a directory",
				 name);
	return 0;
}

/* The mount whose root `name` is; -EINVAL when it is not one. */
int mount_point_find(int parent, const char *name, uint64_t *ret_id, struct error *e)
{
	struct statx s;
	int code = mount_point_check_name(name, e);

	if (code < 0)
		return code;
	if (statx(parent, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_MNT_ID, &s) < 0)
		return error_set(e, -errno, "the mount point '%s': %s", name, strerror(errno));
	if (!(s.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return error_set(e, -EINVAL, "nothing is mounted on '%s'", name);
	*ret_id = s.stx_mnt_id;
	return 0;
}

/* Appends "proc on /…/proc and 2 more": what is mounted below the mount. Returns how many. */
static size_t find_children(int parent, const char *name, struct strbuf *text)
{
	cleanup(mount_table_free) struct mount_table *t = NULL;
	char descriptor[32], path[PATH_MAX];
	size_t count = 0, length;

	(void)snprintf(descriptor, sizeof(descriptor), "/proc/self/fd/%d", parent);
	ssize_t parent_length = readlink(descriptor, path, sizeof(path) - 1);
	if (parent_length <= 0)
		return 0;
	length = (size_t)parent_length;
	if (length == 1) /* the parent is / */
		length = 0;
	length += (size_t)snprintf(path + length, sizeof(path) - length, "/%s", name);
	/* Without the table the sentence gets shorter, and is still true. */
	if (length >= sizeof(path) || mount_table_below(path, &t, NULL) < 0)
		return 0;
	for (size_t i = 0; i < t->count; i++) {
		if (t->entries[i].target[length] == '\0')
			continue;
		if (count == 0)
			strbuf_appendf(text, "%s on %s", t->entries[i].file_system,
				       t->entries[i].target);
		count++;
	}
	if (count > 1)
		strbuf_appendf(text, " and %zu more", count - 1);
	return count;
}

int mount_point_refuse_busy(int parent, const char *name, uint64_t mount_id, struct error *e)
{
	cleanup(strbuf_free) struct strbuf holders = { 0 };
	cleanup(strbuf_free) struct strbuf children = { 0 };
	size_t holder_count = mount_holders_find(mount_id, &holders);
	size_t child_count = find_children(parent, name, &children);

	if (strbuf_failed(&holders) || strbuf_failed(&children))
		return error_set(e, -EBUSY, "'%s' is in use", name);
	if (holder_count && child_count)
		return error_set(e, -EBUSY, "'%s' is in use by %s, and below it is mounted %s",
				 name, holders.text, children.text);
	if (holder_count)
		return error_set(e, -EBUSY, "'%s' is in use by %s", name, holders.text);
	if (child_count)
		return error_set(e, -EBUSY, "below '%s' is mounted %s", name, children.text);
	return error_set(
		e, -EBUSY,
		"'%s' is in use, though by no process in /proc: the kernel itself may hold "
		"it (loop device, swap, io_uring)",
		name);
}

int mount_point_path(int parent, const char *name, char ret_path[MOUNT_POINT_PATH_SIZE],
		     struct error *e)
{
	int length = snprintf(ret_path, MOUNT_POINT_PATH_SIZE, "/proc/self/fd/%d/%s", parent, name);

	if (length >= MOUNT_POINT_PATH_SIZE)
		return error_set(e, -ENAMETOOLONG, "the mount point's name is too long: %s", name);
	return 0;
}
