/* SPDX-License-Identifier: Apache-2.0 */
#include "base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

int regular_file_open(int directory, const char *path, uint64_t resolve, int *ret_fd,
		      int64_t *ret_size)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = resolve };
	cleanup(close_fd) int file = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
	char again[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	struct stat st;
	int fd;

	if (file < 0 || fstat(file, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* The same inode, whatever stands at the path by now. */
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", file); /* it fits */
	fd = open(again, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	*ret_size = st.st_size;
	return 0;
}
