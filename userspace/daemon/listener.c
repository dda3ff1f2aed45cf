/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listener.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "daemon/config.h"

#define BACKLOG 512

/* A socket file may stay from an agent that was killed; anything else is not ours to remove. */
static int clear_stale(const struct sockaddr_un *address, struct error *e)
{
	const char *path = address->sun_path;
	cleanup(close_fd) int fd = -EBADF;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_set(e, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, -EADDRINUSE,
				 "%s is there already and is no socket: move it away, or give "
				 "another --socket",
				 path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(e, -errno, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return error_set(e, -EADDRINUSE,
				 "another process listens at %s: stop it, or give another --socket",
				 path);
	if (errno != ECONNREFUSED)
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	if (unlink(path) < 0)
		return error_set(e, -errno, "remove the stale socket %s: %s", path,
				 strerror(errno));
	return 0;
}

static int make_folder(const char *path, struct error *e)
{
	cleanup(free_ptr) char *copy = strdup(path);
	const char *folder;

	if (!copy)
		return error_set(e, -ENOMEM, "out of memory");
	folder = dirname(copy);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make %s for the socket: %s", folder, strerror(errno));
	return 0;
}

int listener_open(const char *path, int *ret_fd, bool *ret_made, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct group *group;
	int code;

	if (sd_listen_fds(0) > 0) {
		*ret_fd = SD_LISTEN_FDS_START;
		*ret_made = false;
		return 0;
	}
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(e, -EINVAL, "--socket %s is longer than %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	code = make_folder(path, e);
	if (code == 0)
		code = clear_stale(&address, e);
	if (code < 0)
		return code;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(e, -errno, "socket: %s", strerror(errno));
	/* Nobody but root until the group is set. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(e, -errno, "bind %s: %s", path, strerror(errno));
	group = getgrnam(CONFIG_SOCKET_GROUP);
	if (group && (chown(path, 0, group->gr_gid) < 0 || chmod(path, 0660) < 0))
		return error_set(e, -errno, "give %s to the group %s: %s", path,
				 CONFIG_SOCKET_GROUP, strerror(errno));
	if (listen(fd, BACKLOG) < 0)
		return error_set(e, -errno, "listen at %s: %s", path, strerror(errno));
	*ret_fd = take_fd(&fd);
	*ret_made = true;
	return 0;
}
