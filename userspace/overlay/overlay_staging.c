// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fail_point.h"
#include "overlay/overlay_options.h"
#include "overlay/overlay_refusal.h"

/*
 * Each mount has a stage of its own, a directory that is bound over itself so that it can be made
 * private. Without that, a mount in it would spread to every mount namespace that shares the
 * store's file system, and be kept alive there.
 */
#define POINT_IN_STAGE "m"

struct staged_mount {
	int store;
	const struct overlay_spec *spec;
	const char *options;
	int mount; /* result */
	int code; /* result */
	struct error *e;
};

int overlay_staging_begin(int store, struct overlay_stage *ret_stage, struct error *e)
{
	struct overlay_stage s;
	int code;

	(void)snprintf(s.directory, sizeof(s.directory), "/proc/self/fd/%d/staging/XXXXXX", store);
	if (!mkdtemp(s.directory))
		return error_set(e, -errno, "make a directory in the store's staging: %s",
				 strerror(errno));
	(void)snprintf(s.point, sizeof(s.point), "%s/" POINT_IN_STAGE, s.directory);
	code = fail_point_error("staging.made", e);
	if (code == 0 &&
	    (mkdir(s.point, 0700) < 0 || mount(s.directory, s.directory, NULL, MS_BIND, NULL) < 0 ||
	     mount(NULL, s.directory, NULL, MS_PRIVATE, NULL) < 0))
		code = error_set(e, -errno, "prepare the staging directory for a mount: %s",
				 strerror(errno));
	if (code == 0)
		code = fail_point_error("staging.bound", e);
	if (code < 0) {
		overlay_staging_end(&s);
		return code;
	}
	*ret_stage = s;
	return 0;
}

void overlay_staging_end(const struct overlay_stage *stage)
{
	(void)umount2(stage->directory, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)rmdir(stage->point);
	(void)rmdir(stage->directory);
}

static int mount_on_stage(struct staged_mount *m, const char *point)
{
	if (mount("overlay", point, "overlay", 0, m->options) < 0)
		return overlay_refusal_explain(m->store, m->spec, -errno, "", m->e);

	m->mount = open_tree(AT_FDCWD, point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (m->mount < 0)
		return error_set(m->e, -errno, "detach the new mount: %s", strerror(errno));
	fail_point("staging.mounted");
	return 0;
}

/* On a thread of its own, since it changes the current directory. */
static void *run_staged_mount(void *user)
{
	struct staged_mount *m = user;
	struct overlay_stage stage;
	cleanup(close_fd) int links = openat(m->store, "l", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (links < 0 || unshare(CLONE_FS) < 0 || fchdir(links) < 0) {
		m->code = error_set(m->e, -errno, "enter the store's directory l: %s",
				    strerror(errno));
		return NULL;
	}
	m->code = overlay_staging_begin(m->store, &stage, m->e);
	if (m->code == 0) {
		m->code = mount_on_stage(m, stage.point);
		overlay_staging_end(&stage);
	}
	(void)!chdir("/"); /* a thread that was joined keeps its directory busy for a moment more */
	return NULL;
}

int overlay_staging_mount(int store, const struct overlay_features *features,
			  const struct overlay_spec *spec, int *ret_mount, struct error *e)
{
	cleanup(free_ptr) char *options = NULL;
	int code = overlay_options_format(features, spec, &options, e);
	struct staged_mount m = {
		.store = store, .spec = spec, .options = options, .mount = -EBADF, .e = e
	};
	pthread_t thread;

	if (code < 0)
		return code;
	code = -pthread_create(&thread, NULL, run_staged_mount, &m);
	if (code < 0)
		return error_set(e, code, "start a thread for the mount: %s", strerror(-code));
	(void)pthread_join(thread, NULL); /* fails only for a thread that is not ours */
	if (m.code < 0)
		return m.code;
	*ret_mount = m.mount;
	return 0;
}

static bool is_stage(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

int overlay_staging_clear(int store, struct error *e)
{
	cleanup(close_fd) int staging =
		openat(store, "staging", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup(close_directory) DIR *directory = staging < 0 ? NULL : fdopendir(staging);
	const struct dirent *entry;

	if (!directory)
		return error_set(e, -errno, "open the store's staging directory: %s",
				 strerror(errno));
	(void)take_fd(&staging); /* the directory's now */
	/* First what is mounted on all of them: a clone of the store that is mounted on one stage
	 * may have a mount on another. */
	while ((entry = readdir(directory))) {
		char path[PATH_MAX];

		if (!is_stage(entry))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd(directory),
			       entry->d_name);
		while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
	}
	rewinddir(directory);
	while ((entry = readdir(directory))) {
		char point[NAME_MAX + sizeof("/" POINT_IN_STAGE)];

		if (!is_stage(entry))
			continue;
		(void)snprintf(point, sizeof(point), "%s/" POINT_IN_STAGE, entry->d_name);
		(void)unlinkat(dirfd(directory), point, AT_REMOVEDIR); /* may not be there */
		if (unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return error_set(e, -errno, "remove staging/%s from the store: %s",
					 entry->d_name, strerror(errno));
	}
	return 0;
}
