// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static const struct {
	int code;
	const char *sentence;
} sentences[] = {
	{ -EBUSY,
	  "one of the layers is the writable layer of another mount, which may be in another "
	  "mount namespace: unmount that first" },
	{ -ELOOP, "one of the layers is there twice, or lies inside of another one" },
	{ -ENODEV, "the kernel has no overlayfs: try modprobe overlay" },
	{ -EPERM, "no permission to mount an overlay: root and CAP_SYS_ADMIN are needed" },
	{ -EACCES, "no permission to mount an overlay: root and CAP_SYS_ADMIN are needed" },
	{ -ENOSPC,
	  "no space left for the mount: the file system of the store is full, or there are "
	  "too many mounts (sysctl fs.mount-max)" },
	{ -EROFS, "the file system of the store is read-only" },
	{ -ENOMEM, "out of memory" },
};

static bool is_missing(int store, const char *name, const char *leaf)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "layers/%s/%s", name, leaf);

	return length < PATH_MAX && faccessat(store, path, F_OK, 0) < 0 && errno == ENOENT;
}

/* -ENOENT does not say which of 500. */
static int explain_missing(int store, const struct overlay_spec *spec, struct error *e)
{
	const char *const leaves[] = { "fs", "work" };

	for (size_t i = 0; spec->upper && i < ARRAY_SIZE(leaves); i++)
		if (is_missing(store, spec->upper, leaves[i]))
			return error_set(e, -ENOENT, "layers/%s/%s is missing from the store",
					 spec->upper, leaves[i]);
	for (size_t i = 0; i < spec->lower_count; i++)
		if (is_missing(store, spec->lowers[i], "fs"))
			return error_set(e, -ENOENT, "layers/%s/fs is missing from the store",
					 spec->lowers[i]);
	return error_set(e, -ENOENT,
			 "a directory of the store is missing: empty, or a link in l of a layer");
}

/* After a volatile mount the kernel leaves a mark, and refuses the work directory ever after. */
static bool was_volatile(int store, const char *upper)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "layers/%s/work/work/incompat/volatile", upper);

	return length < PATH_MAX && faccessat(store, path, F_OK, 0) == 0;
}

int overlay_refusal_explain(int store, const struct overlay_spec *spec, int code,
			    const char *kernel_says, struct error *e)
{
	const char *before = *kernel_says ? " (kernel: " : "";
	const char *after = *kernel_says ? ")" : "";

	if (code == -ENOENT)
		return explain_missing(store, spec, e);
	if (code == -EINVAL && spec->upper && was_volatile(store, spec->upper))
		return error_set(e, code,
				 "the work directory of layer %s was used by a volatile mount: it "
				 "needs a fresh one",
				 spec->upper);
	for (size_t i = 0; i < ARRAY_SIZE(sentences); i++)
		if (sentences[i].code == code)
			return error_set(e, code, "%s%s%s%s", sentences[i].sentence, before,
					 kernel_says, after);
	if (*kernel_says)
		return error_set(e, code, "the kernel refuses the overlay mount: %s", kernel_says);
	return error_set(e, code, "the kernel refuses the overlay mount: %s (dmesg may say more)",
			 strerror(-code));
}
