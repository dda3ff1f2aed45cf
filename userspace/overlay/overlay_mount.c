// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "overlay/mount_point.h"
#include "overlay/overlay_create.h"
#include "overlay/overlay_idmap.h"

/* An EBUSY is waited for in steps that double: 255 ms altogether. */
#define BUSY_FIRST_WAIT_NS 1000000L
#define BUSY_LAST_WAIT_NS (128 * BUSY_FIRST_WAIT_NS)

int overlay_mount_create(int store, const struct overlay_features *features,
			 const struct overlay_spec *spec, int *ret_mount, struct error *e)
{
	int code = overlay_options_check(spec, e);

	if (code < 0)
		return code;
	return spec->id_map && id_map_is_set(spec->id_map)
		       ? overlay_idmap_mount(store, features, spec, ret_mount, e)
		       : overlay_create(store, features, spec, ret_mount, e);
}

/* ---- mount points ---- */

int overlay_mount_attach(int mount, int parent, const char *name, struct error *e)
{
	int code = mount_point_check_name(name, e);

	if (code < 0)
		return code;
	if (move_mount(mount, "", parent, name, MOVE_MOUNT_F_EMPTY_PATH) == 0)
		return 0;
	if (errno == ENOSPC)
		return error_set(e, -ENOSPC,
				 "mount on '%s': there are too many mounts (sysctl fs.mount-max)",
				 name);
	if (errno == ENOENT)
		return error_set(e, -ENOENT, "mount on '%s': there is no such directory", name);
	return error_set(e, -errno, "mount on '%s': %s", name, strerror(errno));
}

int overlay_mount_clone_read_only(int parent, const char *name, int *ret_mount, struct error *e)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY,
		.propagation = MS_PRIVATE, /* else it stays a peer of the mount it comes from */
	};
	uint64_t id;
	int code = mount_point_find(parent, name, &id, e);

	if (code < 0)
		return code;
	cleanup(close_fd) int mount =
		open_tree(parent, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (mount < 0 ||
	    mount_setattr(mount, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
		return error_set(e, -errno, "make a read-only mount of '%s': %s", name,
				 strerror(errno));
	*ret_mount = take_fd(&mount);
	return 0;
}

/* ---- unmounting ---- */

int overlay_unmount_lazily(int parent, const char *name, struct error *e)
{
	char path[MOUNT_POINT_PATH_SIZE];
	uint64_t id;
	int code = mount_point_find(parent, name, &id, e);

	if (code == 0)
		code = mount_point_path(parent, name, path, e);
	if (code == 0 && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		code = error_set(e, -errno, "unmount '%s': %s", name, strerror(errno));
	return code;
}

bool overlay_is_mounted(int parent, const char *name)
{
	uint64_t id;

	return mount_point_find(parent, name, &id, NULL) == 0;
}

int overlay_mount_set_read_only(int parent, const char *name, bool read_only, struct error *e)
{
	struct mount_attr attributes = {
		.attr_set = read_only ? MOUNT_ATTR_RDONLY : 0,
		.attr_clr = read_only ? 0 : MOUNT_ATTR_RDONLY,
	};
	uint64_t id;
	int code = mount_point_find(parent, name, &id, e);

	if (code < 0)
		return code;
	if (mount_setattr(parent, name, AT_SYMLINK_NOFOLLOW, &attributes, sizeof(attributes)) == 0)
		return 0;
	if (errno == EBUSY)
		return mount_point_refuse_busy(parent, name, id, e);
	return error_set(e, -errno, "make the mount '%s' %s: %s", name,
			 read_only ? "read-only" : "writable", strerror(errno));
}

int overlay_unmount(int parent, const char *name, struct error *e)
{
	struct timespec wait = { .tv_nsec = BUSY_FIRST_WAIT_NS };
	char path[MOUNT_POINT_PATH_SIZE];
	uint64_t id;
	int code = mount_point_find(parent, name, &id, e);

	if (code == 0)
		code = mount_point_path(parent, name, path, e);
	if (code < 0)
		return code;
	while (umount2(path, UMOUNT_NOFOLLOW) < 0) {
		if (errno != EBUSY)
			return error_set(e, -errno, "unmount '%s': %s", name, strerror(errno));
		if (wait.tv_nsec > BUSY_LAST_WAIT_NS)
			return mount_point_refuse_busy(parent, name, id, e);
		/* The files of a process that is gone are closed a little later when an io_uring
		 * had them. */
		(void)nanosleep(&wait, NULL);
		wait.tv_nsec *= 2;
	}
	return 0;
}
