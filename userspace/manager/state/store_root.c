/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/store_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/directory.h"

#define RESERVE "reserve"
#define RESERVE_BYTES (1 << 20)

/* The directory with its parents. */
static int make_with_parents(const char *path, struct error *e)
{
	char partial[STORE_ROOT_MAX + 1];

	for (size_t i = 1; path[i - 1]; i++) {
		int code;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		(void)snprintf(partial, sizeof(partial), "%.*s", (int)i, path);
		code = directory_make(AT_FDCWD, partial, 0711);
		if (code < 0 && code != -EEXIST)
			return error_set(e, code, "make %s: %s", partial, strerror(-code));
	}
	return 0;
}

/* By descriptor: the directory that was looked at is the one that is changed. */
static int make_private(const struct manager *m, const char *name, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	struct stat st;

	if (mkdirat(m->root_fd, name, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make %s/%s: %s", m->root, name, strerror(errno));
	fd = openat(m->root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(e, -errno, "open %s/%s: %s", m->root, name, strerror(errno));
	if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700) < 0)
		return error_set(e, -errno, "chmod %s/%s: %s", m->root, name, strerror(errno));
	return 0;
}

int store_root_open(struct manager *m, struct error *e)
{
	static const char *const private_directories[] = { "layers",  "l",	 "mnt",	 "trash",
							   "staging", "scratch", "spare" };
	int code = make_with_parents(m->root, e);

	if (code < 0)
		return code;
	m->root_fd = open(m->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->root_fd < 0)
		return error_set(e, -errno, "open the store %s: %s", m->root, strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(private_directories); i++) {
		code = make_private(m, private_directories[i], e);
		if (code < 0)
			return code;
	}
	/* A lower of mounts that have too few: its mode is never seen, and it has no entries. */
	code = directory_make(m->root_fd, "empty", 0755);
	if (code < 0 && code != -EEXIST)
		return error_set(e, code, "make %s/empty: %s", m->root, strerror(-code));
	m->mounts_fd = openat(m->root_fd, "mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->mounts_fd < 0)
		return error_set(e, -errno, "open %s/mnt: %s", m->root, strerror(errno));
	return 0;
}

int store_root_lock(struct manager *m, struct error *e)
{
	m->lock_fd = openat(m->root_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->lock_fd < 0)
		return error_set(e, -errno, "open %s/lock: %s", m->root, strerror(errno));
	/* A process that can open it can keep every agent from starting. */
	if (fchmod(m->lock_fd, 0600) < 0)
		return error_set(e, -errno, "chmod %s/lock: %s", m->root, strerror(errno));
	if (flock(m->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(e, errno == EWOULDBLOCK ? -EBUSY : -errno,
				 "the store %s is in use by another varved: stop it, or give this "
				 "one another --root",
				 m->root);
	(void)unlinkat(m->root_fd, RESERVE, 0); /* there may be none */
	return 0;
}

void store_root_reserve(const struct manager *m)
{
	cleanup(close_fd) int fd = openat(
		m->root_fd, RESERVE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		(void)fallocate(fd, 0, 0, RESERVE_BYTES);
}

DIR *store_root_open_directory(struct manager *m, const char *name)
{
	int fd = openat(m->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	manager_assert_unlocked(m);
	if (!d && fd >= 0)
		(void)close(fd);
	return d;
}
