// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "overlay/mount_table.h"
#include "overlay/overlay_mount.h"
#include "overlay/overlay_staging.h"

/* A store in small, inside of the store. */
#define SCRATCH "overlay-probe"
#define LOWER "lower"
#define FORCED_METHOD "VARVE_OVERLAY_METHOD"

static const char *const method_names[] = {
	[OVERLAY_METHOD_LOWERDIR_PLUS] = "lowerdir+",
	[OVERLAY_METHOD_MOUNT] = "mount",
};

const char *overlay_method_name(enum overlay_method method)
{
	return method_names[method];
}

/* ---- scratch ---- */

static int add_layer(int scratch, const char *name)
{
	char path[64], target[64];

	(void)snprintf(path, sizeof(path), "layers/%s", name); /* our own short names */
	if (mkdirat(scratch, path, 0700) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "layers/%s/fs", name);
	if (mkdirat(scratch, path, 0700) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "layers/%s/work", name);
	if (mkdirat(scratch, path, 0700) < 0)
		return -errno;
	(void)snprintf(target, sizeof(target), "../layers/%s/fs", name);
	(void)snprintf(path, sizeof(path), "l/%s", name);
	return symlinkat(target, scratch, path) < 0 ? -errno : 0;
}

static int fill_scratch(int scratch)
{
	static const char *const directories[] = { "layers", "l", "empty", "staging" };
	int code;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		if (mkdirat(scratch, directories[i], 0700) < 0)
			return -errno;
	code = add_layer(scratch, LOWER);
	if (code < 0)
		return code;
	cleanup(close_fd) int file = openat(scratch, "layers/" LOWER "/fs/file",
					    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return file < 0 ? -errno : 0;
}

static int remove_entry(const char *path, const struct stat *unused, int type, struct FTW *walk)
{
	(void)unused;
	(void)walk;
	return (type == FTW_DP ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT ? -1 : 0;
}

/* It may be there from an agent that was killed, with a mount in it. */
static int remove_scratch(int store, struct error *e)
{
	cleanup(close_fd) int scratch =
		openat(store, SCRATCH, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[64];

	if (scratch >= 0 && faccessat(scratch, "staging", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		int code = overlay_staging_clear(scratch, e);
		if (code < 0)
			return code;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/" SCRATCH, store);
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
		return error_set(e, -errno, "remove " SCRATCH " from the store: %s",
				 strerror(errno));
	return 0;
}

static int make_scratch(int store, int *ret_scratch, struct error *e)
{
	int code = remove_scratch(store, e);

	if (code < 0)
		return code;
	if (mkdirat(store, SCRATCH, 0700) < 0)
		return error_set(e, -errno, "make " SCRATCH " in the store: %s", strerror(errno));
	cleanup(close_fd) int scratch =
		openat(store, SCRATCH, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	code = scratch < 0 ? -errno : fill_scratch(scratch);
	if (code < 0)
		return error_set(e, code, "make " SCRATCH " in the store: %s", strerror(-code));
	*ret_scratch = take_fd(&scratch);
	return 0;
}

/* ---- tries ---- */

static int mount_upper(int scratch, const struct overlay_features *features, const char *upper,
		       bool volatile_upper, int *ret_mount, struct error *e)
{
	static const char *const lowers[] = { LOWER };
	struct overlay_spec spec = {
		.lowers = lowers,
		.lower_count = ARRAY_SIZE(lowers),
		.upper = upper,
		.volatile_upper = volatile_upper,
	};

	return overlay_mount_create(scratch, features, &spec, ret_mount, e);
}

/* What an upper is for: it hides a file of the lower, and puts an opaque directory in its place.
 * On a file system without trusted xattrs overlayfs mounts, and fails only here. */
static int use_upper(int mount)
{
	if (unlinkat(mount, "file", 0) < 0 || mkdirat(mount, "file", 0700) < 0)
		return -errno;
	return 0;
}

static int try_method(int scratch, enum overlay_method method, struct error *e)
{
	struct overlay_features bare = { .method = method };
	const char *upper = method == OVERLAY_METHOD_MOUNT ? "by-mount" : "by-context";
	cleanup(close_fd) int mount = -EBADF;
	int code = add_layer(scratch, upper);

	if (code < 0)
		return error_set(e, code, "make a layer in the store: %s", strerror(-code));
	code = mount_upper(scratch, &bare, upper, false, &mount, e);
	if (code < 0)
		return code;
	code = use_upper(mount);
	return code < 0 ? error_set(e, code, "delete a file in a mount: %s", strerror(-code)) : 0;
}

/* index=on may be taken, and be dropped for want of file handles: so see whether it guards. */
static bool try_index(int scratch, const struct overlay_features *features)
{
	struct overlay_features wanted = *features;
	cleanup(close_fd) int mount = -EBADF;
	cleanup(close_fd) int second = -EBADF;

	wanted.index = true;
	return add_layer(scratch, "indexed") == 0 &&
	       mount_upper(scratch, &wanted, "indexed", false, &mount, NULL) == 0 &&
	       mount_upper(scratch, &wanted, "indexed", false, &second, NULL) == -EBUSY;
}

static bool try_volatile(int scratch, const struct overlay_features *features)
{
	cleanup(close_fd) int mount = -EBADF;

	return add_layer(scratch, "volatile") == 0 &&
	       mount_upper(scratch, features, "volatile", true, &mount, NULL) == 0;
}

/* Says what is missing, or nothing. */
static void try_id_map(int scratch, struct overlay_features *features)
{
	static const struct id_map map = { (char *)"0:1:1", (char *)"0:1:1" };
	static const char *const lowers[] = { LOWER };
	struct overlay_spec spec = { lowers, ARRAY_SIZE(lowers), "mapped", false, &map };
	cleanup(close_fd) int mount = -EBADF;
	struct error e = { 0 };
	struct stat s;
	int code = add_layer(scratch, spec.upper);

	if (code < 0)
		(void)error_set(&e, code, "make a layer in the store: %s", strerror(-code));
	else
		code = overlay_mount_create(scratch, features, &spec, &mount, &e);
	if (code == -EINVAL || code == -EROFS)
		(void)error_set(&e, code,
				"overlayfs of this kernel takes no layers with a map of ids "
				"(5.19 does)");
	/* A file that is hidden is what overlayfs makes by itself. */
	if (code == 0 && (fstat(mount, &s) < 0 || s.st_uid != 1 || s.st_gid != 1 ||
			  unlinkat(mount, "file", 0) < 0))
		(void)error_set(&e, -EIO, "a mount with a map of ids does not do what it should");
	(void)snprintf(features->id_map_refusal, sizeof(features->id_map_refusal), "%.*s",
		       (int)sizeof(features->id_map_refusal) - 1, e.text);
}

/* ---- the verdict ---- */

static int check_kernel(struct error *e)
{
	cleanup(close_fd) int context = fsopen("overlay", FSOPEN_CLOEXEC); /* loads the module */

	if (context >= 0)
		return 0;
	if (errno == EPERM)
		return error_set(e, -EPERM,
				 "no permission to mount file systems: the agent has to be root, "
				 "with CAP_SYS_ADMIN");
	if (errno == ENODEV)
		return error_set(e, -ENODEV,
				 "the kernel has no overlayfs: try modprobe overlay "
				 "(CONFIG_OVERLAY_FS)");
	return error_set(e, -errno, "open a file system context (fsopen): %s", strerror(errno));
}

/* The methods to try, best first. */
struct candidates {
	enum overlay_method methods[ARRAY_SIZE(method_names)];
	size_t count;
};

static int list_candidates(struct candidates *ret_candidates, struct error *e)
{
	const char *forced = getenv(FORCED_METHOD);
	struct candidates c = { .count = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(method_names); i++)
		if (!forced || strcmp(forced, method_names[i]) == 0)
			c.methods[c.count++] = (enum overlay_method)i;
	if (c.count == 0)
		return error_set(e, -EINVAL,
				 FORCED_METHOD " is '%s': lowerdir+ and mount are known", forced);
	*ret_candidates = c;
	return 0;
}

/* One text for all that a file system may lack as an upper; what failed is at its end. */
static int refuse_file_system(const char *file_system, struct error *e)
{
	if (e->code == -EPERM || e->code == -EACCES || e->code == -ENOSPC || e->code == -ENOMEM ||
	    e->code == -EROFS || e->code == -EDQUOT)
		return e->code;
	return error_context(e,
			     "overlayfs does not take %s for writable layers: put --root on ext4, "
			     "xfs, btrfs or tmpfs",
			     file_system);
}

static int choose_method(int scratch, const struct candidates *c, const char *file_system,
			 enum overlay_method *ret_method, struct error *e)
{
	for (size_t i = 0; i < c->count; i++) {
		if (try_method(scratch, c->methods[i], e) == 0) {
			*ret_method = c->methods[i];
			return 0;
		}
	}
	/* A method that is forced may just be none of this kernel's. */
	if (c->count < ARRAY_SIZE(method_names))
		return error_context(e, FORCED_METHOD "=%s", method_names[c->methods[0]]);
	return refuse_file_system(file_system, e);
}

/* A parameter of the module, which is the default of a mount option. */
static bool is_default(const char *parameter)
{
	char path[80], value = 'N';

	(void)snprintf(path, sizeof(path), "/sys/module/overlay/parameters/%s", parameter);
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &value, 1) == 1 && value == 'Y';
}

static int probe_scratch(int scratch, const struct candidates *c, struct overlay_features *features,
			 struct error *e)
{
	int code = choose_method(scratch, c, features->file_system, &features->method, e);

	if (code < 0)
		return code;
	features->index_guards = try_index(scratch, features);
	features->volatile_mounts = try_volatile(scratch, features);
	/* Copies without data need redirects. */
	features->redirects = is_default("redirect_dir") || is_default("metacopy");
	try_id_map(scratch, features);
	return 0;
}

int overlay_probe(int store, struct overlay_features *ret_features, struct error *e)
{
	_Static_assert(sizeof(ret_features->file_system) == MOUNT_TABLE_NAME_SIZE, "a name fits");
	struct overlay_features features = { 0 };
	struct error local = { 0 }, *tried = e ?: &local; /* whose code is looked at */
	cleanup(close_fd) int scratch = -EBADF;
	struct candidates candidates = { 0 };
	int removed, code = list_candidates(&candidates, e);

	if (code < 0)
		return code;
	code = check_kernel(e);
	if (code < 0)
		return code;
	code = mount_table_file_system(store, features.file_system, e);
	if (code < 0)
		return code;
	code = make_scratch(store, &scratch, e);
	if (code < 0)
		return code;
	code = probe_scratch(scratch, &candidates, &features, tried);
	removed = remove_scratch(store, code < 0 ? NULL : e);
	if (code < 0 || removed < 0)
		return code < 0 ? code : removed;
	*ret_features = features;
	return 0;
}

/* ---- layers in use ---- */

/* Makes the store's layer one of the scratch store's, too. */
static int link_layer(int store, int scratch, const char *layer)
{
	char target[PATH_MAX], path[64];

	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d/layers/%s", store, layer);
	(void)snprintf(path, sizeof(path), "layers/%s", layer);
	if (symlinkat(target, scratch, path) < 0)
		return -errno;
	(void)snprintf(target, sizeof(target), "../layers/%s/fs", layer);
	(void)snprintf(path, sizeof(path), "l/%s", layer);
	return symlinkat(target, scratch, path) < 0 ? -errno : 0;
}

/* The kernel marks the root of an upper while a superblock has it. With index=on it refuses such a
 * directory even as a lower, and of a lower it changes nothing. */
static int try_as_lower(int scratch, const struct overlay_features *features, const char *layer,
			bool *ret_in_use, struct error *e)
{
	struct overlay_features guarded = *features;
	struct overlay_spec spec = { &layer, 1, "trial", false, NULL };
	cleanup(close_fd) int mount = -EBADF;
	int code = add_layer(scratch, spec.upper);

	guarded.index = true;
	if (code < 0)
		return error_set(e, code, "make a layer in the store: %s", strerror(-code));
	code = overlay_mount_create(scratch, &guarded, &spec, &mount, e);
	if (code < 0 && code != -EBUSY)
		return code;
	*ret_in_use = code == -EBUSY;
	return 0;
}

int overlay_probe_upper_in_use(int store, const struct overlay_features *features,
			       const char *layer, bool *ret_in_use, struct error *e)
{
	cleanup(close_fd) int scratch = -EBADF;
	int removed, code;

	if (!features->index_guards)
		return error_set(e, -ENOTSUP,
				 "this kernel does not tell whether a layer is in use");
	code = make_scratch(store, &scratch, e);
	if (code < 0)
		return code;
	code = link_layer(store, scratch, layer);
	if (code < 0)
		(void)error_set(e, code, "make a layer in the store: %s", strerror(-code));
	else
		code = try_as_lower(scratch, features, layer, ret_in_use, e);
	removed = remove_scratch(store, code < 0 ? NULL : e);
	return code < 0 ? code : removed;
}
