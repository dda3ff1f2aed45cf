// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "overlay/mount_holders.h"
#include "overlay/mount_table.h"
#include "overlay/overlay_idmap.h"
#include "overlay/overlay_options.h"
#include "overlay/overlay_refusal.h"
#include "overlay/overlay_staging.h"

/* A string of fsconfig(2), with its NUL. */
#define CONTEXT_STRING_SIZE 256
/* An EBUSY is waited for in steps that double: 255 ms altogether. */
#define BUSY_FIRST_WAIT_NS 1000000L
#define BUSY_LAST_WAIT_NS (128 * BUSY_FIRST_WAIT_NS)

/* ---- with a file system context ---- */

/*
 * The store by its own path, which is what one wants to read in /proc/mounts; by its descriptor
 * when the path does not lead there (other root directory, moved) or would be taken for escapes.
 */
static void name_store(int store, char ret_path[PATH_MAX])
{
	char descriptor[32], path[PATH_MAX];
	struct stat by_path, by_descriptor;
	ssize_t length;

	(void)snprintf(descriptor, sizeof(descriptor), "/proc/self/fd/%d", store);
	length = readlink(descriptor, path, sizeof(path) - 1);
	path[length < 0 ? 0 : length] = '\0';
	if (length <= 0 || strpbrk(path, "\\:,") || stat(path, &by_path) < 0 ||
	    fstat(store, &by_descriptor) < 0 || by_path.st_dev != by_descriptor.st_dev ||
	    by_path.st_ino != by_descriptor.st_ino)
		memcpy(path, descriptor, sizeof(descriptor));
	memcpy(ret_path, path, sizeof(path));
}

/* Gives the context one directory of the store. */
static int add_directory(int context, const char *key, int store, const char *store_path,
			 const char *directory)
{
	char path[CONTEXT_STRING_SIZE];
	int length = snprintf(path, sizeof(path), "%s/%s", store_path, directory);

	if (length >= CONTEXT_STRING_SIZE)
		length = snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", store, directory);
	if (length >= CONTEXT_STRING_SIZE)
		return -ENAMETOOLONG;
	return fsconfig(context, FSCONFIG_SET_STRING, key, path, 0) < 0 ? -errno : 0;
}

static int add_layer(int context, const char *key, int store, const char *store_path,
		     const char *name, const char *leaf)
{
	char directory[PATH_MAX];
	int length = snprintf(directory, sizeof(directory), "layers/%s/%s", name, leaf);

	return length < PATH_MAX ? add_directory(context, key, store, store_path, directory)
				 : -ENAMETOOLONG;
}

static int add_plain_options(int context, const struct overlay_features *features,
			     const struct overlay_spec *spec)
{
	struct overlay_option options[OVERLAY_OPTIONS_PLAIN_MAX];
	size_t count = overlay_options_plain(features, spec, options);

	for (size_t i = 0; i < count; i++)
		if (fsconfig(context, options[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
			     options[i].key, options[i].value, 0) < 0)
			return -errno;
	return 0;
}

static int configure(int context, int store, const struct overlay_features *features,
		     const struct overlay_spec *spec)
{
	char path[PATH_MAX];
	int r;

	name_store(store, path);
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", "overlay", 0) < 0)
		return -errno;
	r = add_plain_options(context, features, spec);
	for (size_t i = 0; i < spec->lower_count && r == 0; i++)
		r = add_layer(context, "lowerdir+", store, path, spec->lowers[i], "fs");
	if (r == 0 && overlay_options_need_empty(spec))
		r = add_directory(context, "lowerdir+", store, path, "empty");
	if (r == 0 && spec->upper)
		r = add_layer(context, "upperdir", store, path, spec->upper, "fs");
	if (r == 0 && spec->upper)
		r = add_layer(context, "workdir", store, path, spec->upper, "work");
	if (r == 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	return r;
}

/* Each message is one read: its severity, a blank, and the text. */
static void read_messages(int context, struct strbuf *messages)
{
	char line[512];
	ssize_t length;

	while ((length = read(context, line, sizeof(line))) > 2) {
		if (line[length - 1] == '\n')
			length--;
		if (messages->length)
			strbuf_append(messages, "; ");
		strbuf_append_bytes(messages, line + 2, (size_t)length - 2);
	}
}

static int create_by_context(int store, const struct overlay_features *features,
			     const struct overlay_spec *spec, int *ret_mount, struct error *e)
{
	cleanup(close_fd) int context = fsopen("overlay", FSOPEN_CLOEXEC);
	cleanup(close_fd) int mount = -EBADF;
	int r = context < 0 ? -errno : configure(context, store, features, spec);

	if (r == 0) {
		mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
		r = mount < 0 ? -errno : 0;
	}
	if (r < 0) {
		cleanup(strbuf_free) struct strbuf messages = { 0 };

		if (context >= 0)
			read_messages(context, &messages);
		return overlay_refusal_explain(store, spec, r, messages.text ?: "", e);
	}
	*ret_mount = take_fd(&mount);
	return 0;
}

/* Overlayfs that fails to prepare its work directory mounts all the same, read-only. */
static int check_writable(int mount, const struct overlay_spec *spec, struct error *e)
{
	struct statvfs s;

	if (fstatvfs(mount, &s) < 0)
		return error_set(e, -errno, "ask for the new mount's flags: %s", strerror(errno));
	if (s.f_flag & ST_RDONLY)
		return error_set(e, -EROFS,
				 "the kernel made the mount read-only, since it could not prepare "
				 "layers/%s/work (dmesg may say why): is there space left?",
				 spec->upper);
	return 0;
}

int overlay_mount_create(int store, const struct overlay_features *features,
			 const struct overlay_spec *spec, int *ret_mount, struct error *e)
{
	cleanup(close_fd) int mount = -EBADF;
	int r = overlay_options_check(spec, e);

	if (r < 0)
		return r;
	if (spec->id_map && id_map_is_set(spec->id_map))
		return overlay_idmap_mount(store, features, spec, ret_mount, e);
	if (features->method == OVERLAY_METHOD_LOWERDIR_PLUS)
		r = create_by_context(store, features, spec, &mount, e);
	else
		r = overlay_staging_mount(store, features, spec, &mount, e);
	if (r == 0 && spec->upper)
		r = check_writable(mount, spec, e);
	if (r == 0)
		*ret_mount = take_fd(&mount);
	return r;
}

/* ---- mount points ---- */

static int check_name(const char *name, struct error *e)
{
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(e, -EINVAL, "'%s' is not a name of a mount point in a directory",
				 name);
	return 0;
}

int overlay_mount_attach(int mount, int parent, const char *name, struct error *e)
{
	int r = check_name(name, e);

	if (r < 0)
		return r;
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

/* The mount whose root `name` is; -EINVAL when it is not one. */
static int find_mount_id(int parent, const char *name, uint64_t *ret_id, struct error *e)
{
	struct statx s;
	int r = check_name(name, e);

	if (r < 0)
		return r;
	if (statx(parent, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_MNT_ID, &s) < 0)
		return error_set(e, -errno, "the mount point '%s': %s", name, strerror(errno));
	if (!(s.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return error_set(e, -EINVAL, "nothing is mounted on '%s'", name);
	*ret_id = s.stx_mnt_id;
	return 0;
}

int overlay_mount_clone_read_only(int parent, const char *name, int *ret_mount, struct error *e)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY,
		.propagation = MS_PRIVATE, /* else it stays a peer of the mount it comes from */
	};
	uint64_t id;
	int r = find_mount_id(parent, name, &id, e);

	if (r < 0)
		return r;
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

static int refuse_busy(int parent, const char *name, uint64_t mount_id, struct error *e)
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

#define POINT_PATH_SIZE (NAME_MAX + 64)

/* umount2(2) takes no directory. */
static int name_point(int parent, const char *name, char ret_path[POINT_PATH_SIZE], struct error *e)
{
	int length = snprintf(ret_path, POINT_PATH_SIZE, "/proc/self/fd/%d/%s", parent, name);

	if (length >= POINT_PATH_SIZE)
		return error_set(e, -ENAMETOOLONG, "the mount point's name is too long: %s", name);
	return 0;
}

int overlay_unmount_lazily(int parent, const char *name, struct error *e)
{
	char path[POINT_PATH_SIZE];
	uint64_t id;
	int r = find_mount_id(parent, name, &id, e);

	if (r == 0)
		r = name_point(parent, name, path, e);
	if (r == 0 && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		r = error_set(e, -errno, "unmount '%s': %s", name, strerror(errno));
	return r;
}

bool overlay_is_mounted(int parent, const char *name)
{
	uint64_t id;

	return find_mount_id(parent, name, &id, NULL) == 0;
}

int overlay_mount_set_read_only(int parent, const char *name, bool read_only, struct error *e)
{
	struct mount_attr attributes = {
		.attr_set = read_only ? MOUNT_ATTR_RDONLY : 0,
		.attr_clr = read_only ? 0 : MOUNT_ATTR_RDONLY,
	};
	uint64_t id;
	int r = find_mount_id(parent, name, &id, e);

	if (r < 0)
		return r;
	if (mount_setattr(parent, name, AT_SYMLINK_NOFOLLOW, &attributes, sizeof(attributes)) == 0)
		return 0;
	if (errno == EBUSY)
		return refuse_busy(parent, name, id, e);
	return error_set(e, -errno, "make the mount '%s' %s: %s", name,
			 read_only ? "read-only" : "writable", strerror(errno));
}

int overlay_unmount(int parent, const char *name, struct error *e)
{
	struct timespec wait = { .tv_nsec = BUSY_FIRST_WAIT_NS };
	char path[POINT_PATH_SIZE];
	uint64_t id;
	int r = find_mount_id(parent, name, &id, e);

	if (r == 0)
		r = name_point(parent, name, path, e);
	if (r < 0)
		return r;
	while (umount2(path, UMOUNT_NOFOLLOW) < 0) {
		if (errno != EBUSY)
			return error_set(e, -errno, "unmount '%s': %s", name, strerror(errno));
		if (wait.tv_nsec > BUSY_LAST_WAIT_NS)
			return refuse_busy(parent, name, id, e);
		/* The files of a process that is gone are closed a little later when an io_uring
		 * had them. */
		(void)nanosleep(&wait, NULL);
		wait.tv_nsec *= 2;
	}
	return 0;
}
