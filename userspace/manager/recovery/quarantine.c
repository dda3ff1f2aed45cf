/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"

static int make_place(struct manager *m, struct quarantine *q, struct error *e)
{
	char path[QUARANTINE_PATH_SIZE];
	time_t now = time(NULL);
	struct tm tm;

	(void)gmtime_r(&now, &tm); /* a year of four digits: it fits */
	(void)strftime(path, sizeof(path), "quarantine/%Y%m%dT%H%M%SZ", &tm);
	if (mkdirat(m->root_fd, "quarantine", 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make %s/quarantine: %s", m->root, strerror(errno));
	if (mkdirat(m->root_fd, path, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make %s/%s: %s", m->root, path, strerror(errno));
	memcpy(q->path, path, sizeof(path));
	return 0;
}

int quarantine_put(struct manager *m, struct quarantine *q, const char *path, struct error *e)
{
	const char *slash = strrchr(path, '/');
	char to[QUARANTINE_PATH_SIZE + NAME_MAX + 2];
	struct stat st;
	int code;

	if (fstatat(m->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT
				       : error_set(e, -errno, "stat %s/%s: %s", m->root, path,
						   strerror(errno));
	code = *q->path ? 0 : make_place(m, q, e);
	if (code < 0)
		return code;
	(void)snprintf(to, sizeof(to), "%s/%s", q->path, slash ? slash + 1 : path);
	if (renameat2(m->root_fd, path, m->root_fd, to, RENAME_NOREPLACE) < 0)
		return error_set(e, -errno, "move %s/%s to %s: %s", m->root, path, to,
				 strerror(errno));
	if (!slash && S_ISDIR(st.st_mode) && mkdirat(m->root_fd, path, st.st_mode & 0777) < 0)
		return error_set(e, -errno, "make %s/%s: %s", m->root, path, strerror(errno));
	return 0;
}

static int sync_directory(struct manager *m, const char *path, struct error *e)
{
	cleanup(close_fd) int fd = openat(m->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_set(e, -errno, "sync %s/%s: %s", m->root, path, strerror(errno));
	return 0;
}

int quarantine_sync(struct manager *m, const struct quarantine *q, struct error *e)
{
	int code;

	if (*q->path) {
		code = sync_directory(m, q->path, e);
		if (code < 0)
			return code;
		code = sync_directory(m, "quarantine", e);
		if (code < 0)
			return code;
	}
	return sync_directory(m, ".", e);
}
