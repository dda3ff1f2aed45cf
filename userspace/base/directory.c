/* SPDX-License-Identifier: Apache-2.0 */
#include "base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int directory_make(int parent, const char *path, mode_t mode)
{
	cleanup(close_fd) int fd = -EBADF;

	if (mkdirat(parent, path, mode & 0700) < 0)
		return -errno;
	fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, mode) < 0)
		return -errno;
	return 0;
}
