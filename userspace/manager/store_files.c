/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layers/<name>/{fs,work}, their short links l/<name>, and trash/: what is discarded is renamed
 * there, which is atomic, and deleted by a thread of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "manager/manager_state.h"

#define PATH_SIZE 64

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

	(void)snprintf(link, sizeof(link), "l/%s", layer);
	(void)snprintf(target, sizeof(target), "../layers/%s/fs", layer);
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

DIR *store_files_open_directory(struct manager *m, const char *name)
{
	int fd = openat(m->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		(void)close(fd);
	return d;
}

int store_files_make(struct manager *m, const char *layer, struct error *e)
{
	char path[PATH_SIZE], target[PATH_SIZE];
	int code;

	(void)snprintf(path, sizeof(path), "layers/%s", layer);
	if (mkdirat(m->root_fd, path, 0700) < 0)
		return error_set(e, -errno, "make %s/%s: %s", m->root, path, strerror(errno));
	code = fail_point_error("layer.made", e);
	(void)snprintf(path, sizeof(path), "layers/%s/fs", layer);
	if (code == 0 && mkdirat(m->root_fd, path, 0755) < 0)
		code = -errno;
	if (code == 0)
		code = fail_point_error("layer.made-fs", e);
	(void)snprintf(path, sizeof(path), "layers/%s/work", layer);
	if (code == 0 && mkdirat(m->root_fd, path, 0700) < 0)
		code = -errno;
	(void)snprintf(path, sizeof(path), "l/%s", layer);
	(void)snprintf(target, sizeof(target), "../layers/%s/fs", layer);
	if (code == 0)
		code = fail_point_error("layer.made-work", e);
	if (code == 0 && symlinkat(target, m->root_fd, path) < 0)
		code = -errno;
	if (code == 0)
		code = fail_point_error("layer.linked", e);
	if (code < 0) {
		error_set(e, code, "make %s/%s: %s", m->root, path, strerror(-code));
		(void)store_files_discard(m, layer, NULL); /* recover finds what this leaves */
	}
	return code;
}

int store_files_discard(struct manager *m, const char *layer, struct error *e)
{
	int code = discard_as(m, layer, e);

	store_files_wake_trash(m);
	return code;
}

int store_files_make_scratch(struct manager *m, char **ret_path, struct error *e)
{
	cleanup(free_ptr) char *path = NULL;

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

	(void)snprintf(to, sizeof(to), "trash/scratch.%" PRIx64, (uint64_t)clock_wall_ns());
	/* What has become a layer is no longer there. */
	if (renameat(m->root_fd, path, m->root_fd, to) < 0 && errno != ENOENT)
		manager_report(m, true, "move %s/%s to the trash: %s; the next start will", m->root,
			       path, strerror(errno));
	store_files_wake_trash(m);
}

int store_files_clear_scratch(struct manager *m, struct error *e)
{
	cleanup(close_directory) DIR *d = store_files_open_directory(m, "scratch");
	struct dirent *entry;

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

	(void)snprintf(path, sizeof(path), "layers/%s/fs", layer);
	fd = openat(m->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_set(e, -errno, "open %s/%s: %s", m->root, path, strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* Deletes a tree; what cannot be deleted stays for the next start. Depth is bounded by what a path
 * of the trees that we make can have; a deeper one is flattened by renaming its children up. */
static int delete_tree(int parent, const char *name, int trash, unsigned depth)
{
	cleanup(close_directory) DIR *d = NULL;
	struct dirent *entry;
	int fd, code = 0;

	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return unlinkat(parent, name, 0) < 0 ? -errno : 0;
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(d))) {
		char moved[PATH_SIZE];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(d), entry->d_name, 0) == 0) {
			fail_point("trash.unlinked");
			continue;
		}
		if (errno != EISDIR && errno != EPERM) {
			code = -errno;
			continue;
		}
		if (depth < 64) {
			int below = delete_tree(dirfd(d), entry->d_name, trash, depth + 1);

			code = below < 0 ? below : code;
			continue;
		}
		(void)snprintf(moved, sizeof(moved), "deep.%" PRIx64 ".%" PRIx64,
			       (uint64_t)entry->d_ino, (uint64_t)clock_wall_ns());
		if (renameat(dirfd(d), entry->d_name, trash, moved) < 0)
			code = -errno;
	}
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0)
		return code < 0 ? code : -errno;
	return code;
}

static void empty_trash_once(struct manager *m)
{
	cleanup(close_directory) DIR *trash = store_files_open_directory(m, "trash");
	bool again = true;

	if (!trash) {
		manager_report(m, true, "open %s/trash: %s", m->root, strerror(errno));
		return;
	}
	while (again) {
		struct dirent *entry;

		again = false;
		rewinddir(trash);
		while ((entry = readdir(trash))) {
			int code;

			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			code = fail_point_error("trash.delete", NULL);
			if (code == 0)
				code = delete_tree(dirfd(trash), entry->d_name, dirfd(trash), 0);
			if (code < 0)
				manager_report(m, true,
					       "delete %s/trash/%s: %s; it will be tried again at "
					       "the next start",
					       m->root, entry->d_name, strerror(-code));
			else
				again = true; /* deep trees may have added entries */
		}
	}
}

void store_files_wake_trash(struct manager *m)
{
	pthread_mutex_lock(&m->trash_lock);
	m->trash_wanted = true;
	pthread_cond_broadcast(&m->trash_arrived);
	pthread_mutex_unlock(&m->trash_lock);
}

void store_files_drain_trash(struct manager *m)
{
	pthread_mutex_lock(&m->trash_lock);
	while (m->trash_thread_runs && (m->trash_wanted || m->trash_busy))
		pthread_cond_wait(&m->trash_arrived, &m->trash_lock);
	pthread_mutex_unlock(&m->trash_lock);
}

void *store_files_empty_trash(void *manager)
{
	struct manager *m = manager;

	pthread_mutex_lock(&m->trash_lock);
	for (;;) {
		while (!m->trash_wanted && !m->stopping)
			pthread_cond_wait(&m->trash_arrived, &m->trash_lock);
		if (!m->trash_wanted)
			break;
		m->trash_wanted = false;
		m->trash_busy = true;
		pthread_mutex_unlock(&m->trash_lock);
		empty_trash_once(m);
		pthread_mutex_lock(&m->trash_lock);
		m->trash_busy = false;
		pthread_cond_broadcast(&m->trash_arrived);
	}
	pthread_mutex_unlock(&m->trash_lock);
	return NULL;
}
