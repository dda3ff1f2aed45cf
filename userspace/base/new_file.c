/* SPDX-License-Identifier: Apache-2.0 */
#include "base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* So many random names are tried; that even one is taken is next to impossible. */
#define TRIES 16

static void make_name(char name[NEW_FILE_NAME_SIZE])
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		number = (uint64_t)clock_monotonic_ns(); /* a name that is taken is tried again */
	(void)snprintf(name, NEW_FILE_NAME_SIZE, ".new-%016" PRIx64, number);
}

static int open_with_name(int directory, char name[NEW_FILE_NAME_SIZE])
{
	int fd = -EEXIST;

	for (int i = 0; i < TRIES && fd == -EEXIST; i++) {
		make_name(name);
		fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    0644);
		fd = fd < 0 ? -errno : fd;
	}
	return fd;
}

int new_file_begin(int directory, struct new_file *ret_file)
{
	cleanup(new_file_end) struct new_file f = { .directory = directory };

	f.fd = openat(directory, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
	if (f.fd < 0) { /* a file system that cannot; another fault is met again */
		f.fd = open_with_name(directory, f.beside);
		if (f.fd < 0) {
			f.beside[0] = '\0';
			return f.fd;
		}
	}
	if (fchmod(f.fd, 0644) < 0)
		return -errno;
	*ret_file = f;
	f = (struct new_file)NEW_FILE_NONE;
	return 0;
}

static int link_file(const struct new_file *f, const char *name)
{
	char self[64];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, self, f->directory, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* linkat(2) replaces nothing, hence a name beside the other file first. */
static int link_beside(struct new_file *f)
{
	int code = -EEXIST;

	for (int i = 0; i < TRIES && code == -EEXIST; i++) {
		make_name(f->beside);
		code = link_file(f, f->beside);
	}
	if (code < 0)
		f->beside[0] = '\0';
	return code;
}

int new_file_publish(struct new_file *f, const char *name)
{
	int code;

	if (fsync(f->fd) < 0)
		return -errno;
	if (!f->beside[0]) {
		code = link_file(f, name);
		if (code == -EEXIST)
			code = link_beside(f);
		if (code < 0 || !f->beside[0])
			return code;
	}
	if (renameat(f->directory, f->beside, f->directory, name) < 0)
		return -errno;
	f->beside[0] = '\0';
	return 0;
}

void new_file_end(struct new_file *f)
{
	if (f->beside[0])
		(void)unlinkat(f->directory, f->beside, 0); /* an earlier error counts */
	if (f->fd >= 0)
		(void)close(f->fd);
	*f = (struct new_file)NEW_FILE_NONE;
}
