/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layers/<name>/{fs,work}, their short links l/<name>, and trash/: what is discarded is renamed
 * there, which is atomic, and deleted by a thread of its own.
 */
#include "manager/state/store_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/directory.h"
#include "base/fail_point.h"
#include "layer/layer_sync.h"
#include "manager/state/watch_table.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_root.h"
#include "manager/state/trash.h"

#define PATH_SIZE STORE_FILES_PATH_SIZE

void store_files_layer_path(const char *layer, char path[STORE_FILES_PATH_SIZE])
{
	(void)snprintf(path, STORE_FILES_PATH_SIZE, "layers/%s/fs", layer); /* names are short */
}

void store_files_link_target(const char *layer, char path[STORE_FILES_PATH_SIZE])
{
	(void)snprintf(path, STORE_FILES_PATH_SIZE, "../layers/%s/fs", layer);
}

static int discard_as(struct manager *m, const char *layer, struct error *e)
{
	char from[PATH_SIZE], to[PATH_SIZE], link[PATH_SIZE];
	int code;

	(void)snprintf(from, sizeof(from), "layers/%s", layer); /* names are short */
	(void)snprintf(to, sizeof(to), "trash/%s.%" PRIx64, layer, (uint64_t)clock_wall_ns());
	(void)snprintf(link, sizeof(link), "l/%s", layer);
	if (unlinkat(m->root_fd, link, 0) < 0 && errno != ENOENT)
		return error_set(e, -errno, "remove %s/%s: %s", m->root, link, strerror(errno));
	code = fail_point_error("layer.unlinked", e);
	if (code < 0)
		return code;
	if (renameat(m->root_fd, from, m->root_fd, to) < 0 && errno != ENOENT)
		return error_set(e, -errno, "move %s/%s to the trash: %s", m->root, from,
				 strerror(errno));
	fail_point("layer.trashed");
	return 0;
}

int store_files_link(struct manager *m, const char *layer, struct error *e)
{
	char link[PATH_SIZE], target[PATH_SIZE], present[PATH_SIZE];
	ssize_t length;

	manager_assert_unlocked(m);
	(void)snprintf(link, sizeof(link), "l/%s", layer);
	store_files_link_target(layer, target);
	length = readlinkat(m->root_fd, link, present, sizeof(present));
	if (length == (ssize_t)strlen(target) && memcmp(present, target, (size_t)length) == 0)
		return 0;
	if ((length >= 0 || errno != ENOENT) && unlinkat(m->root_fd, link, 0) < 0)
		return error_set(e, -errno, "remove %s/%s: %s", m->root, link, strerror(errno));
	fail_point("recover.relink");
	if (symlinkat(target, m->root_fd, link) < 0)
		return error_set(e, -errno, "make %s/%s: %s", m->root, link, strerror(errno));
	return 1;
}

/* 0 or -errno; `path` is that of the layer's directory, and on failure of what could not be made.
 */
static int fill_directory(struct manager *m, const char *layer, char path[PATH_SIZE])
{
	char target[PATH_SIZE];
	int code = fail_point_error("layer.made", NULL);

	if (code < 0)
		return code;
	store_files_layer_path(layer, path);
	code = directory_make(m->root_fd, path, 0755); /* the mode of the mount's root */
	if (code < 0)
		return code;
	code = fail_point_error("layer.made-fs", NULL);
	if (code < 0)
		return code;
	(void)snprintf(path, PATH_SIZE, "layers/%s/work", layer);
	if (mkdirat(m->root_fd, path, 0700) < 0)
		return -errno;
	code = fail_point_error("layer.made-work", NULL);
	if (code < 0)
		return code;
	(void)snprintf(path, PATH_SIZE, "l/%s", layer);
	store_files_link_target(layer, target);
	if (symlinkat(target, m->root_fd, path) < 0)
		return -errno;
	return fail_point_error("layer.linked", NULL);
}

static int open_directory(struct manager *m, const char *layer)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "layers/%s", layer);
	return openat(m->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Before a row says that the layer is there. */
static int write_names(struct manager *m, const char *layer, struct error *e)
{
	cleanup(close_fd) int all = open_directory(m, "");
	cleanup(close_fd) int fd = open_directory(m, layer);
	int code;

	if (fd < 0 || all < 0)
		return error_set(e, -errno, "open %s/layers/%s: %s", m->root, layer,
				 strerror(errno));
	code = layer_sync_own_log(fd, e);
	return code < 0 ? code : layer_sync_own_log(all, e);
}

void store_files_leave(struct manager *m, const char *layer)
{
	cleanup(close_fd) int fd = open_directory(m, layer);

	/* Without it, the layer is perhaps quarantined, instead of deleted. */
	if (fd >= 0 && futimens(fd, NULL) == 0)
		(void)layer_sync_own_log(fd, NULL);
}

int store_files_make(struct manager *m, const char *layer, struct error *e)
{
	char path[PATH_SIZE];
	int code;

	manager_assert_unlocked(m);
	(void)snprintf(path, sizeof(path), "layers/%s", layer);
	if (mkdirat(m->root_fd, path, 0700) < 0)
		return error_set(e, -errno, "make %s/%s: %s", m->root, path, strerror(errno));
	code = fill_directory(m, layer, path);
	if (code < 0)
		error_set(e, code, "make %s/%s: %s", m->root, path, strerror(-code));
	else
		code = write_names(m, layer, e);
	if (code == 0)
		return 0;
	(void)store_files_discard(m, layer, NULL); /* recover finds what this leaves */
	return code;
}

int store_files_discard(struct manager *m, const char *layer, struct error *e)
{
	int code;

	manager_assert_unlocked(m);
	watch_table_end(m, layer);
	code = discard_as(m, layer, e);
	trash_wake(m);
	return code;
}

int store_files_make_scratch(struct manager *m, char **ret_path, struct error *e)
{
	cleanup(free_ptr) char *path = NULL;

	manager_assert_unlocked(m);
	if (asprintf(&path, "scratch/%" PRIx64, (uint64_t)atomic_fetch_add(&m->content_works, 1)) <
	    0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (mkdirat(m->root_fd, path, 0700) < 0)
		return error_set(e, -errno, "make %s/%s: %s", m->root, path, strerror(errno));
	*ret_path = take_ptr(path);
	return 0;
}

void store_files_drop_scratch(struct manager *m, const char *path)
{
	char to[PATH_SIZE];

	manager_assert_unlocked(m);
	(void)snprintf(to, sizeof(to), "trash/scratch.%" PRIx64, (uint64_t)clock_wall_ns());
	/* What has become a layer is no longer there. */
	if (renameat(m->root_fd, path, m->root_fd, to) < 0 && errno != ENOENT)
		manager_report(m, true, "move %s/%s to the trash: %s; the next start will", m->root,
			       path, strerror(errno));
	trash_wake(m);
}

int store_files_clear_scratch(struct manager *m, struct error *e)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(m, "scratch");
	struct dirent *entry;

	manager_assert_unlocked(m);
	if (!d)
		return error_set(e, -errno, "open %s/scratch: %s", m->root, strerror(errno));
	while ((entry = readdir(d))) {
		char path[PATH_SIZE];

		if (entry->d_name[0] == '.' || strlen(entry->d_name) > 32)
			continue;
		(void)snprintf(path, sizeof(path), "scratch/%s", entry->d_name);
		store_files_drop_scratch(m, path);
	}
	return 0;
}

int store_files_open_layer(struct manager *m, const char *layer, int *ret_fd, struct error *e)
{
	char path[PATH_SIZE];
	int fd;

	manager_assert_unlocked(m);
	store_files_layer_path(layer, path);
	fd = openat(m->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_set(e, -errno, "open %s/%s: %s", m->root, path, strerror(errno));
	*ret_fd = fd;
	return 0;
}
