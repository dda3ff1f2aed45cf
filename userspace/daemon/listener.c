/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/directory.h"
#include "daemon/config.h"

/* When the queue is full, the kernel refuses clients whose sockets do not block. */
#define BACKLOG CONFIG_CONNECTIONS
#define READ_ONLY_NAME "varved-ro"

/* An agent that was killed leaves its socket file behind. Other files are never removed. */
static int clear_stale(const struct sockaddr_un *address, struct error *e)
{
	const char *path = address->sun_path;
	cleanup(close_fd) int fd = -EBADF;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_set(e, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(e, -EADDRINUSE,
				 "%s exists and is not a socket: move it away, or give "
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
	int code;

	if (!copy)
		return error_set(e, -ENOMEM, "out of memory");
	folder = dirname(copy);
	code = directory_make(AT_FDCWD, folder, 0755);
	if (code < 0 && code != -EEXIST)
		return error_set(e, code, "make %s for the socket: %s", folder, strerror(-code));
	return 0;
}

int listeners_add(struct listeners *listeners, const struct access *access, const char *path,
		  bool read_only, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int code;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(e, -EINVAL, "the socket's path %s is longer than %zu bytes", path,
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
	code = access_bind(access, fd, &address, read_only, e);
	if (code < 0)
		return code;
	listeners->items[listeners->count++] = (struct listener){ fd, read_only, path };
	fd = -EBADF;
	if (listen(listeners->items[listeners->count - 1].fd, BACKLOG) < 0)
		return error_set(e, -errno, "listen at %s: %s", path, strerror(errno));
	return 0;
}

/* The sockets that systemd passes, by name: FileDescriptorName= of the unit, or the name of the
 * unit. */
static int take_over(struct listeners *l, int count, char **names, struct error *e)
{
	if (count > LISTENERS_MAX)
		return error_set(e, -EMFILE, "systemd passed %d sockets; at most %d can be used",
				 count, LISTENERS_MAX);
	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		bool read_only = strcmp(names[i], READ_ONLY_NAME) == 0 ||
				 strcmp(names[i], READ_ONLY_NAME ".socket") == 0;

		if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0)
			return error_set(e, -EINVAL,
					 "systemd passed as '%s' something that is not a listening "
					 "unix socket",
					 names[i]);
		if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return error_set(e, -errno, "fcntl: %s", strerror(errno));
		l->items[l->count++] = (struct listener){ fd, read_only, NULL };
	}
	return 0;
}

int listeners_open(struct listeners *listeners, const struct access *access, struct error *e)
{
	const struct config *config = access->config;
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names), code;

	if (count < 0)
		return error_set(e, count, "the sockets that systemd passed: %s", strerror(-count));
	if (count > 0) {
		code = take_over(listeners, count, names, e);
	} else {
		code = listeners_add(listeners, access, config->socket, false, e);
		if (code == 0 && config->read_only_socket)
			code = listeners_add(listeners, access, config->read_only_socket, true, e);
	}
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return code;
}

void listeners_close(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		cleanup_close_fd(&listeners->items[i].fd);
		if (listeners->items[i].path)
			(void)unlink(listeners->items[i].path); /* else the next start removes it */
	}
	listeners->count = 0;
}
