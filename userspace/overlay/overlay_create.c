// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "overlay/overlay_refusal.h"
#include "overlay/overlay_staging.h"

/* A string of fsconfig(2), with its NUL. */
#define CONTEXT_STRING_SIZE 256

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
	int code;

	name_store(store, path);
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", "overlay", 0) < 0)
		return -errno;
	code = add_plain_options(context, features, spec);
	for (size_t i = 0; i < spec->lower_count && code == 0; i++)
		code = add_layer(context, "lowerdir+", store, path, spec->lowers[i], "fs");
	if (code == 0 && overlay_options_need_empty(spec))
		code = add_directory(context, "lowerdir+", store, path, "empty");
	if (code == 0 && spec->upper)
		code = add_layer(context, "upperdir", store, path, spec->upper, "fs");
	if (code == 0 && spec->upper)
		code = add_layer(context, "workdir", store, path, spec->upper, "work");
	if (code == 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		code = -errno;
	return code;
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
	int code = context < 0 ? -errno : configure(context, store, features, spec);

	if (code == 0) {
		mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
		code = mount < 0 ? -errno : 0;
	}
	if (code < 0) {
		cleanup(strbuf_free) struct strbuf messages = { 0 };

		if (context >= 0)
			read_messages(context, &messages);
		return overlay_refusal_explain(store, spec, code, messages.text ?: "", e);
	}
	*ret_mount = take_fd(&mount);
	return 0;
}

/* With less than this it is space that overlayfs has lacked. (ext4's f_bfree has blocks that it
 * gives to nobody.) */
#define WORK_BYTES (64 << 10)
#define WORK_INODES 4

/* Overlayfs that fails to prepare its work directory mounts all the same, read-only. */
static int check_writable(int mount, const struct overlay_spec *spec, struct error *e)
{
	struct statvfs s;

	if (fstatvfs(mount, &s) < 0)
		return error_set(e, -errno, "ask for the new mount's flags: %s", strerror(errno));
	if (!(s.f_flag & ST_RDONLY))
		return 0;
	if (s.f_bavail * s.f_frsize < WORK_BYTES || (s.f_files && s.f_ffree < WORK_INODES))
		return error_set(e, -ENOSPC,
				 "No space left: the kernel could not prepare layers/%s/work",
				 spec->upper);
	return error_set(e, -EROFS,
			 "the kernel made the mount read-only, since it could not prepare "
			 "layers/%s/work (dmesg may say why)",
			 spec->upper);
}

int overlay_create(int store, const struct overlay_features *features,
		   const struct overlay_spec *spec, int *ret_mount, struct error *e)
{
	cleanup(close_fd) int mount = -EBADF;
	int code;

	if (features->method == OVERLAY_METHOD_LOWERDIR_PLUS)
		code = create_by_context(store, features, spec, &mount, e);
	else
		code = overlay_staging_mount(store, features, spec, &mount, e);
	if (code == 0 && spec->upper)
		code = check_writable(mount, spec, e);
	if (code < 0)
		return code;
	*ret_mount = take_fd(&mount);
	return 0;
}
