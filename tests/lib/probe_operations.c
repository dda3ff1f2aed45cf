// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/probe_operations.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

char probe_bytes[PROBE_BYTES];

bool op_open(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)other;
	return fd >= 0;
}

bool op_openat2(const char *path, const char *other)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC };
	cleanup(close_fd) int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	(void)other;
	return fd >= 0;
}

bool op_opath(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_PATH | O_CLOEXEC);

	(void)other;
	return fd >= 0;
}

bool op_cat(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	(void)other;
	if (fd < 0)
		return false;
	do
		n = read(fd, probe_bytes, sizeof(probe_bytes));
	while (n > 0);
	return n == 0;
}

bool op_pread(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)other;
	return fd >= 0 && pread(fd, probe_bytes, 100, 5) == 100;
}

bool op_readv(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct iovec parts[] = { { probe_bytes, 10 }, { probe_bytes + 10, 20 } };

	(void)other;
	return fd >= 0 && readv(fd, parts, 2) == 30;
}

bool op_preadv2(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct iovec part = { probe_bytes, 50 };

	(void)other;
	return fd >= 0 && preadv2(fd, &part, 1, 0, 0) == 50;
}

bool op_dup_read(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup(close_fd) int copy = fcntl(fd, F_DUPFD_CLOEXEC, 100);

	(void)other;
	return copy >= 0 && read(copy, probe_bytes, 10) == 10;
}

bool op_mmap(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	volatile char *bytes = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	char first;

	(void)other;
	if (bytes == MAP_FAILED)
		return false;
	first = bytes[0]; /* a page fault, which counts as nothing */
	(void)first;
	return munmap((void *)bytes, 4096) == 0;
}

bool op_stat(const char *path, const char *other)
{
	struct stat st;

	(void)other;
	return lstat(path, &st) == 0;
}

bool op_readlink(const char *path, const char *other)
{
	(void)other;
	return readlink(path, probe_bytes, sizeof(probe_bytes)) > 0;
}

bool op_exec(const char *path, const char *other)
{
	pid_t child = fork();
	int status;

	(void)other;
	if (child == 0) {
		execl(path, path, "exit", (char *)NULL);
		_exit(1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* A ring with two slots for files of its own, one request at a time. */
static bool start_ring(struct io_uring *ring)
{
	if (io_uring_queue_init(4, ring, 0) < 0)
		return false;
	if (io_uring_register_files(ring, (const int[]){ -1, -1 }, 2) == 0)
		return true;
	io_uring_queue_exit(ring);
	return false;
}

/* Submits the prepared request, and returns its result. */
static int complete(struct io_uring *ring)
{
	struct io_uring_cqe *done;
	int result;

	if (io_uring_submit_and_wait(ring, 1) != 1 || io_uring_wait_cqe(ring, &done) < 0)
		return -1;
	result = done->res;
	io_uring_cqe_seen(ring, done);
	return result;
}

bool op_uring_read(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct io_uring ring;
	bool ok;

	(void)other;
	if (fd < 0 || !start_ring(&ring))
		return false;
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, probe_bytes, 77, 0);
	ok = complete(&ring) == 77;
	io_uring_queue_exit(&ring);
	return ok;
}

bool op_uring_openat2(const char *path, const char *other)
{
	cleanup(close_fd) int fd = -EBADF;
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC };
	struct io_uring ring;

	(void)other;
	if (!start_ring(&ring))
		return false;
	io_uring_prep_openat2(io_uring_get_sqe(&ring), AT_FDCWD, path, &how);
	fd = complete(&ring);
	io_uring_queue_exit(&ring);
	return fd >= 0;
}

static bool open_in_slots(struct io_uring *ring, const char *path)
{
	struct open_how how = { .flags = O_RDONLY };
	struct io_uring_sqe *read_slot;

	io_uring_prep_openat_direct(io_uring_get_sqe(ring), AT_FDCWD, path, O_RDONLY, 0, 1);
	if (complete(ring) != 0)
		return false;
	io_uring_prep_openat2_direct(io_uring_get_sqe(ring), AT_FDCWD, path, &how,
				     IORING_FILE_INDEX_ALLOC - 1);
	if (complete(ring) != 0)
		return false;
	read_slot = io_uring_get_sqe(ring);
	io_uring_prep_read(read_slot, 1, probe_bytes, 77, 0);
	read_slot->flags |= IOSQE_FIXED_FILE;
	return complete(ring) == 77;
}

/* Runs in a child, where descriptor 0 can be replaced. */
bool op_uring_direct(const char *path, const char *other)
{
	pid_t child = fork();
	struct io_uring ring;
	int status;

	if (child == 0) {
		(void)close(0);
		_exit(open(other, O_RDONLY) == 0 && start_ring(&ring) && open_in_slots(&ring, path)
			      ? 0
			      : 1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool splice_slot(struct io_uring *ring, int pipe_end)
{
	int result;

	io_uring_prep_splice(io_uring_get_sqe(ring), 0, 0, pipe_end, -1, 100, SPLICE_F_FD_IN_FIXED);
	result = complete(ring);
	return result == 100;
}

bool op_uring_splice(const char *path, const char *other)
{
	cleanup(close_fd) int in = open(path, O_RDONLY | O_CLOEXEC);
	struct io_uring ring;
	int ends[2];
	bool ok;

	(void)other;
	if (in < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	ok = start_ring(&ring);
	if (ok) {
		io_uring_prep_splice(io_uring_get_sqe(&ring), in, 0, ends[1], -1, 1000, 0);
		ok = complete(&ring) == 1000 &&
		     io_uring_register_files_update(&ring, 0, &in, 1) == 1 &&
		     splice_slot(&ring, ends[1]);
		io_uring_queue_exit(&ring);
	}
	(void)close(ends[0]); /* pipes report nothing here */
	(void)close(ends[1]);
	return ok;
}

bool op_uring_mkdir(const char *path, const char *other)
{
	struct io_uring ring;
	bool ok;

	(void)other;
	if (!start_ring(&ring))
		return false;
	io_uring_prep_mkdirat(io_uring_get_sqe(&ring), AT_FDCWD, path, 0755);
	ok = complete(&ring) == 0;
	io_uring_queue_exit(&ring);
	return ok;
}

bool op_creat_write(const char *path, const char *other)
{
	cleanup(close_fd) int fd = creat(path, 0644);

	(void)other;
	return fd >= 0 && write(fd, probe_bytes, 1000) == 1000;
}

bool op_pwrite(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)other;
	return fd >= 0 && pwrite(fd, "hello", 5, 0) == 5;
}

bool op_sendfile(const char *path, const char *other)
{
	cleanup(close_fd) int in = open(path, O_RDONLY | O_CLOEXEC);
	cleanup(close_fd) int out = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return in >= 0 && out >= 0 && sendfile(out, in, NULL, 1000) == 1000;
}

bool op_splice(const char *path, const char *other)
{
	cleanup(close_fd) int in = open(path, O_RDONLY | O_CLOEXEC);
	cleanup(close_fd) int out = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int ends[2];
	bool ok;

	if (in < 0 || out < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	ok = splice(in, NULL, ends[1], NULL, 1000, 0) == 1000 &&
	     splice(ends[0], NULL, out, NULL, 1000, 0) == 1000;
	(void)close(ends[0]); /* pipes report nothing here */
	(void)close(ends[1]);
	return ok;
}

bool op_copy_file_range(const char *path, const char *other)
{
	cleanup(close_fd) int in = open(path, O_RDONLY | O_CLOEXEC);
	cleanup(close_fd) int out = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return in >= 0 && out >= 0 && copy_file_range(in, NULL, out, NULL, 1000, 0) == 1000;
}

bool op_truncate(const char *path, const char *other)
{
	(void)other;
	return truncate(path, 10) == 0;
}

bool op_ftruncate(const char *path, const char *other)
{
	cleanup(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)other;
	return fd >= 0 && ftruncate(fd, 5) == 0;
}

bool op_rename(const char *path, const char *other)
{
	return rename(path, other) == 0;
}

bool op_mkdir(const char *path, const char *other)
{
	(void)other;
	return mkdir(path, 0755) == 0;
}

bool op_unlink(const char *path, const char *other)
{
	(void)other;
	return unlink(path) == 0;
}
