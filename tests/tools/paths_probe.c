/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths_probe --backend overlay|syscall DIR: reads a file of a watched layer in ways that are
 * seldom used, in an overlay that the agent did not make, and prints for each of them what the
 * backend has counted: a line `path NAME: counted`, `unseen`, `only …`, or `impossible` when
 * the kernel refuses it. doc/unseen.md is made of these lines.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/aio_abi.h>
#include <linux/loop.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "usage/usage_bpf.h"
#include "usage/usage_layers.h"
#include "usage/usage_reader.h"

#define PIN_DIR "/sys/fs/bpf/varve-paths-probe/v1"
#define BYTES 77 /* that a path reads; the file has 4096 */

static char directory[200], file[300], script[300], program[300];
static char bytes[4096];

static bool read_some(int fd)
{
	return pread(fd, bytes, BYTES, 0) == BYTES;
}

/* ---- io_uring ---- */

static int complete(struct io_uring *ring)
{
	struct io_uring_cqe *done;
	int result = io_uring_submit_and_wait(ring, 1) < 0 ? -1 : io_uring_wait_cqe(ring, &done);

	if (result < 0)
		return result;
	result = done->res;
	io_uring_cqe_seen(ring, done);
	return result;
}

static bool ring_slot(void)
{
	struct io_uring ring;
	struct io_uring_sqe *read_slot;

	if (io_uring_queue_init(4, &ring, 0) < 0 ||
	    io_uring_register_files(&ring, (const int[]){ -1, -1 }, 2) < 0)
		return false;
	io_uring_prep_openat_direct(io_uring_get_sqe(&ring), AT_FDCWD, file, O_RDONLY, 0, 1);
	if (complete(&ring) != 0)
		return false;
	read_slot = io_uring_get_sqe(&ring);
	io_uring_prep_read(read_slot, 1, bytes, BYTES, 0);
	read_slot->flags |= IOSQE_FIXED_FILE;
	return complete(&ring) == BYTES;
}

static bool ring_by_thread(void)
{
	struct io_uring ring;
	int fd;

	if (io_uring_queue_init(4, &ring, IORING_SETUP_SQPOLL) < 0)
		return false;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, file, O_RDONLY, 0);
	fd = complete(&ring);
	if (fd < 0)
		return false;
	io_uring_prep_read(io_uring_get_sqe(&ring), fd, bytes, BYTES, 0);
	return complete(&ring) == BYTES;
}

/* ---- other ways to open and to read ---- */

#if defined(__x86_64__)
static long call_32(long number, long first, long second, long third)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(third)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static bool call_of_32_bits(void)
{
	char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long fd;

	if (low == MAP_FAILED)
		return false;
	(void)snprintf(low, 4096, "%s", file);
	fd = call_32(5, (long)low, O_RDONLY, 0); /* open */
	return fd >= 0 && call_32(3, fd, (long)low, BYTES) == BYTES; /* read */
}
#else
static bool call_of_32_bits(void)
{
	return false;
}
#endif

static bool aio(void)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct iocb request = { .aio_fildes = (uint32_t)fd,
				.aio_lio_opcode = IOCB_CMD_PREAD,
				.aio_buf = (uintptr_t)bytes,
				.aio_nbytes = BYTES };
	struct iocb *requests[] = { &request };
	aio_context_t context = 0;
	struct io_event event;

	return fd >= 0 && syscall(SYS_io_setup, 1, &context) == 0 &&
	       syscall(SYS_io_submit, context, 1, requests) == 1 &&
	       syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1 && event.res == BYTES;
}

static bool by_handle(void)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	int mount_fd = open(directory, O_RDONLY | O_CLOEXEC), mount_id, fd;

	if (name_to_handle_at(AT_FDCWD, file, &u.handle, &mount_id, 0) < 0)
		return false;
	fd = open_by_handle_at(mount_fd, &u.handle, O_RDONLY);
	return fd >= 0 && read_some(fd);
}

static bool run(const char *path, bool by_descriptor)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		char *const arguments[] = { (char *)path, (char *)"exit", NULL };
		char *const environment[] = { NULL };

		if (by_descriptor)
			(void)syscall(SYS_execveat, open(path, O_PATH | O_CLOEXEC), "", arguments,
				      environment, AT_EMPTY_PATH);
		else
			(void)execve(path, arguments, environment);
		_exit(1);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

static bool by_execveat(void)
{
	return run(program, true);
}

static bool by_script(void)
{
	return run(script, false);
}

/* ---- descriptors of another process ---- */

static bool from_process(void)
{
	int fd = open(file, O_RDONLY), ends[2];
	pid_t child;
	int pidfd, copy, status;
	bool done;

	if (fd < 0 || pipe(ends) < 0)
		return false;
	child = fork();
	if (child == 0) {
		(void)close(ends[1]);
		_exit(read(ends[0], bytes, 1) == 0 ? 0 : 1);
	}
	(void)close(fd);
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	done = copy >= 0 && read_some(copy);
	(void)close(ends[1]);
	return waitpid(child, &status, 0) == child && done;
}

static bool send_descriptor(int socket, int fd)
{
	char room[CMSG_SPACE(sizeof(fd))] = { 0 }, byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = room,
				  .msg_controllen = sizeof(room) };
	struct cmsghdr *control = CMSG_FIRSTHDR(&message);

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1;
}

static bool from_socket(void)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 }, byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = room,
				  .msg_controllen = sizeof(room) };
	int ends[2], fd;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ||
	    !send_descriptor(ends[0], open(file, O_RDONLY)) || recvmsg(ends[1], &message, 0) != 1)
		return false;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return read_some(fd);
}

/* ---- another thread ---- */

struct late_read {
	int fd;
	char *page; /* not there before the descriptor has been closed */
	ssize_t result;
};

static void *read_late(void *user)
{
	struct late_read *late = user;

	late->result = pread(late->fd, late->page, BYTES, 0);
	return NULL;
}

/* A page whose first fault waits until provide_page(); the descriptor that tells of it, or -1. */
static int make_late_page(char **ret_page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	range.range.start = (uintptr_t)page;
	range.range.len = sizeof(bytes);
	if (page == MAP_FAILED || faults < 0 || ioctl(faults, UFFDIO_API, &api) < 0 ||
	    ioctl(faults, UFFDIO_REGISTER, &range) < 0)
		return -1;
	*ret_page = page;
	return faults;
}

static bool provide_page(int faults, char *page)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)page, sizeof(bytes) } };

	return ioctl(faults, UFFDIO_ZEROPAGE, &zero) == 0;
}

/* The read has found its file, and waits for the page that it writes to. */
static bool closed_meanwhile(void)
{
	struct late_read late = { .fd = open(file, O_RDONLY | O_CLOEXEC) };
	int faults = make_late_page(&late.page);
	struct uffd_msg message;
	pthread_t thread;

	if (late.fd < 0 || faults < 0 || pthread_create(&thread, NULL, read_late, &late) != 0)
		return false;
	return read(faults, &message, sizeof(message)) == sizeof(message) && close(late.fd) == 0 &&
	       provide_page(faults, late.page) && pthread_join(thread, NULL) == 0 &&
	       late.result == BYTES;
}

/* ---- through something on top ---- */

static bool stacked(void)
{
	char options[700], above[300], path[400];
	bool done;
	int fd;

	(void)snprintf(above, sizeof(above), "%s-above", directory);
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s-empty", directory, directory);
	if (mkdir(above, 0755) < 0 || mount("overlay", above, "overlay", MS_RDONLY, options) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s/file", above);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	done = fd >= 0 && read_some(fd);
	(void)close(fd);
	return umount(above) == 0 && done;
}

static bool loop(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, device, fd;
	char path[40];
	bool done;

	number = ioctl(control, LOOP_CTL_GET_FREE);
	(void)snprintf(path, sizeof(path), "/dev/loop%d", number);
	device = number < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (device < 0 || ioctl(device, LOOP_SET_FD, fd) < 0)
		return false;
	done = read_some(device);
	return ioctl(device, LOOP_CLR_FD) == 0 && done;
}

/* ---- what was counted ---- */

static const struct path {
	const char *name;
	bool (*use)(void);
	uint64_t opens, execs, read_bytes; /* at least */
} paths[] = {
	{ "io_uring, into a direct descriptor", ring_slot, 1, 0, BYTES },
	{ "io_uring, by an SQPOLL thread", ring_by_thread, 1, 0, BYTES },
	{ "calls of 32-bit programs (int 0x80)", call_of_32_bits, 1, 0, BYTES },
	{ "AIO (io_submit)", aio, 1, 0, BYTES },
	{ "execveat of a descriptor", by_execveat, 1, 1, 0 },
	{ "a script that is executed", by_script, 1, 1, 0 },
	{ "open_by_handle_at", by_handle, 1, 0, BYTES },
	{ "a descriptor from pidfd_getfd", from_process, 1, 0, BYTES },
	{ "a descriptor from SCM_RIGHTS", from_socket, 1, 0, BYTES },
	{ "a descriptor that another thread closes meanwhile", closed_meanwhile, 1, 0, BYTES },
	{ "an overlay on top of the overlay", stacked, 1, 0, BYTES },
	{ "a loop device on the file", loop, 1, 0, BYTES },
};

static int add_cell(const struct usage_cell *cell, void *user)
{
	uint64_t *sums = user;

	for (int i = 0; i < USAGE_COUNTER_COUNT; i++)
		sums[i] += cell->totals.counters[i];
	return 0;
}

/* In a child, which may be killed. */
static bool use(const struct path *path)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(path->use() ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool try_path(struct usage_bpf *usage, uint64_t owner, const struct path *path)
{
	uint64_t before[USAGE_COUNTER_COUNT] = { 0 }, after[USAGE_COUNTER_COUNT] = { 0 };
	uint64_t opens, execs, read_bytes;
	struct error e = { 0 };
	bool possible;

	if (usage_read_mount_cells(usage, owner, add_cell, before, &e) < 0)
		return false;
	possible = use(path);
	if (usage_read_mount_cells(usage, owner, add_cell, after, &e) < 0)
		return false;
	opens = after[USAGE_OPENS] - before[USAGE_OPENS];
	execs = after[USAGE_EXECS] - before[USAGE_EXECS];
	read_bytes = after[USAGE_READ_BYTES] - before[USAGE_READ_BYTES];
	if (!possible)
		printf("path %s: impossible\n", path->name);
	else if (opens >= path->opens && execs >= path->execs && read_bytes >= path->read_bytes)
		printf("path %s: counted\n", path->name);
	else if (opens || execs || read_bytes)
		printf("path %s: only%s%s%s\n", path->name, opens ? " opens" : "",
		       execs ? " execs" : "", read_bytes ? " bytes" : "");
	else
		printf("path %s: unseen\n", path->name);
	return true;
}

/* ---- the overlay ---- */

static bool write_file(const char *path, const char *text, size_t length)
{
	cleanup(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	return fd >= 0 && write(fd, text, length) == (ssize_t)length;
}

static bool make_files(const char *layer)
{
	char self[300], path[400], text[400], command[800];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length > 0 ? length : 0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/file", layer);
	if (mkdir(layer, 0755) < 0 || !write_file(path, bytes, sizeof(bytes)))
		return false;
	(void)snprintf(path, sizeof(path), "%s/script", layer);
	(void)snprintf(text, sizeof(text), "#!%.250s exit\n", self);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s/program'", self, layer);
	return write_file(path, text, strlen(text)) && system(command) == 0;
}

static bool mount_layer(const char *layer)
{
	char empty[300], options[700];

	(void)snprintf(empty, sizeof(empty), "%s-empty", directory);
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s", layer, empty);
	(void)snprintf(file, sizeof(file), "%s/file", directory);
	(void)snprintf(script, sizeof(script), "%s/script", directory);
	(void)snprintf(program, sizeof(program), "%s/program", directory);
	return make_files(layer) && mkdir(empty, 0755) == 0 && mkdir(directory, 0755) == 0 &&
	       mount("overlay", directory, "overlay", MS_RDONLY, options) == 0;
}

static int measure(struct usage_bpf *usage, const char *layer)
{
	cleanup(close_fd) int fd = open(layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t owner = 1 | USAGE_LAYER_OWNER;
	struct usage_root root;
	struct error e = { 0 };

	if (usage_layers_identify(fd, &root, &e) < 0 ||
	    usage_layers_watch(usage, &root, "layer", &owner, &e) < 0) {
		printf("FAIL watch: %s\n", e.text);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!try_path(usage, owner, &paths[i])) {
			printf("FAIL %s\n", paths[i].name);
			return 1;
		}
	printf("ok %zu paths were tried\n", ARRAY_SIZE(paths));
	return 0;
}

int main(int argc, char **argv)
{
	struct usage_bpf_options options = { .pin_dir = PIN_DIR, .forced = true };
	struct usage_bpf *usage = NULL;
	struct error e = { 0 };
	char layer[300];
	int status;

	if (argc >= 2 && strcmp(argv[1], "exit") == 0)
		return 0;
	if (argc != 4) {
		fputs("usage: paths_probe --backend overlay|syscall DIR\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IONBF, 0); /* children must not print it again */
	options.wanted = strcmp(argv[2], "overlay") == 0 ? USAGE_BACKEND_OVERLAY
							 : USAGE_BACKEND_SYSCALL;
	(void)snprintf(directory, sizeof(directory), "%.180s/mount", argv[3]);
	(void)snprintf(layer, sizeof(layer), "%.180s/layer", argv[3]);
	(void)usage_bpf_unpin(PIN_DIR, NULL); /* the pins of a run that was killed */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mount_layer(layer)) {
		printf("FAIL mount: %s\n", strerror(errno));
		return 1;
	}
	if (usage_bpf_open(&options, &usage, &e) < 0) {
		printf("FAIL open: %s\n", e.text);
		return 1;
	}
	if (usage_bpf_backend(usage) != options.wanted) {
		printf("skip %s: %s\n", argv[2], usage_bpf_refusal(usage, options.wanted));
		status = 77;
	} else {
		status = measure(usage, layer);
	}
	usage_bpf_close(usage);
	(void)usage_bpf_unpin(PIN_DIR, NULL); /* the next run does it, too */
	return status;
}
