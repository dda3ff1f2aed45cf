/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/disk_walk.h"

#define DEEP_LEVELS 3000

/* Each test gets an empty directory and its descriptor. */
struct place {
	char path[64];
	int fd;
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	(void)snprintf(p->path, sizeof(p->path), "/tmp/disk_walk.XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->fd < 0 ? -1 : 0;
}

static int remove_place(void **state)
{
	cleanup(free_ptr) struct place *p = *state;
	char command[128];

	(void)close(p->fd);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", p->path);
	return system(command);
}

static void write_file(int directory, const char *name, size_t size)
{
	cleanup(free_ptr) char *bytes = calloc(1, size + 1);
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_non_null(bytes);
	memset(bytes, 'x', size);
	assert_int_equal(write(fd, bytes, size), size);
	(void)close(fd);
}

static int64_t allocated(int directory, const char *name)
{
	struct stat s;

	assert_int_equal(fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW), 0);
	return (int64_t)s.st_blocks * 512;
}

static struct disk_usage measure(const struct place *p)
{
	struct disk_usage usage = { -1, -1, -1, -1 };
	struct error e = { 0 };

	assert_int_equal(disk_walk(p->fd, NULL, &usage, &e), 0);
	return usage;
}

static size_t count_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void an_empty_directory_has_no_bytes(void **state)
{
	struct disk_usage usage = measure(*state);

	assert_int_equal(usage.allocated_bytes, 0);
	assert_int_equal(usage.apparent_bytes, 0);
	assert_int_equal(usage.inodes, 0);
}

static void files_and_directories_add_up(void **state)
{
	const struct place *p = *state;
	struct disk_usage usage;

	write_file(p->fd, "a", 10000);
	assert_int_equal(mkdirat(p->fd, "d", 0700), 0);
	write_file(p->fd, "d/b", 1);
	assert_int_equal(mkfifoat(p->fd, "d/pipe", 0600), 0);
	usage = measure(p);
	assert_int_equal(usage.apparent_bytes, 10001);
	assert_int_equal(usage.inodes, 4);
	assert_int_equal(usage.allocated_bytes,
			 allocated(p->fd, "a") + allocated(p->fd, "d") + allocated(p->fd, "d/b"));
}

static void a_sparse_file_counts_the_bytes_that_it_occupies(void **state)
{
	const struct place *p = *state;
	cleanup(close_fd) int fd =
		openat(p->fd, "sparse", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct disk_usage usage;

	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	usage = measure(p);
	assert_int_equal(usage.apparent_bytes, 1 << 30);
	assert_true(usage.allocated_bytes < 1 << 20);
	assert_int_equal(usage.inodes, 1);
}

static void hard_links_to_one_file_count_once(void **state)
{
	const struct place *p = *state;
	struct disk_usage usage;
	char name[32];

	assert_int_equal(mkdirat(p->fd, "d", 0700), 0);
	for (int i = 0; i < 300; i++) { /* more than the set of inodes has room for at first */
		(void)snprintf(name, sizeof(name), "f%d", i);
		write_file(p->fd, name, 1);
		char link_name[64];
		(void)snprintf(link_name, sizeof(link_name), "d/l%d", i);
		assert_int_equal(linkat(p->fd, name, p->fd, link_name, 0), 0);
	}
	usage = measure(p);
	assert_int_equal(usage.inodes, 301);
	assert_int_equal(usage.apparent_bytes, 300);
}

/* Links outside of the directory do not change the count. */
static void a_hard_link_to_a_file_outside_counts(void **state)
{
	const struct place *p = *state;
	cleanup(close_fd) int inner = -EBADF;
	struct disk_usage usage = { 0 };

	write_file(p->fd, "outside", 5);
	assert_int_equal(mkdirat(p->fd, "inside", 0700), 0);
	assert_int_equal(linkat(p->fd, "outside", p->fd, "inside/link", 0), 0);
	inner = openat(p->fd, "inside", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(disk_walk(inner, NULL, &usage, NULL), 0);
	assert_int_equal(usage.apparent_bytes, 5);
	assert_int_equal(usage.inodes, 1);
}

static void symbolic_links_are_not_followed(void **state)
{
	const struct place *p = *state;
	struct disk_usage usage;

	assert_int_equal(symlinkat("/usr", p->fd, "to_directory"), 0);
	assert_int_equal(symlinkat("..", p->fd, "up"), 0);
	assert_int_equal(symlinkat("nowhere", p->fd, "dangling"), 0);
	usage = measure(p);
	assert_int_equal(usage.inodes, 3);
	assert_int_equal(usage.apparent_bytes, strlen("/usr") + strlen("..") + strlen("nowhere"));
}

/* The tree is deeper than a path can be long, has files that the walk meets on the way down and on
 * the way up, and the process may open few descriptors. */
static void a_deep_tree_is_walked(void **state)
{
	const struct place *p = *state;
	cleanup(close_fd) int fd = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct rlimit limit, low;
	struct disk_usage usage;
	size_t descriptors;

	for (int i = 0; i < DEEP_LEVELS; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "first", 0700), 0);
		assert_int_equal(mkdirat(fd, "second", 0700), 0);
		write_file(fd, "second/file", 1);
		next = openat(fd, i % 2 ? "first" : "second", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	descriptors = count_descriptors();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = (struct rlimit){ .rlim_cur = descriptors + 40, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	usage = measure(p);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(usage.inodes, 3 * DEEP_LEVELS);
	assert_int_equal(usage.apparent_bytes, DEEP_LEVELS);
	assert_int_equal(count_descriptors(), descriptors);
}

static void a_wide_directory_is_walked(void **state)
{
	const struct place *p = *state;
	struct disk_usage usage;
	char name[32];

	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "directory-%d", i);
		assert_int_equal(mkdirat(p->fd, name, 0700), 0);
	}
	usage = measure(p);
	assert_int_equal(usage.inodes, 2000);
}

/* Moves the lower half of a chain of directories away and back until it is killed. */
static pid_t start_mover(const struct place *p, const char *half)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			(void)renameat(p->fd, half, p->fd, "moved");
			(void)renameat(p->fd, "moved", p->fd, half);
		}
	}
	return pid;
}

static void a_walk_ends_although_the_tree_is_moved(void **state)
{
	const struct place *p = *state;
	size_t descriptors = count_descriptors();
	char path[512] = "d", half[512] = "";
	pid_t mover;

	assert_int_equal(mkdirat(p->fd, path, 0700), 0);
	for (int i = 1; i < 120; i++) {
		if (i == 60)
			memcpy(half, path, sizeof(half));
		strcat(path, "/d");
		assert_int_equal(mkdirat(p->fd, path, 0700), 0);
	}
	mover = start_mover(p, half);
	assert_true(mover > 0);
	for (int i = 0; i < 300; i++) {
		struct disk_usage usage = measure(p);

		assert_in_range(usage.inodes, 1, 240); /* the moved half may be met twice */
	}
	assert_int_equal(kill(mover, SIGKILL), 0);
	assert_int_equal(waitpid(mover, NULL, 0), mover);
	assert_int_equal(count_descriptors(), descriptors);
}

static void a_cancelled_walk_leaves_the_result_untouched(void **state)
{
	const struct place *p = *state;
	struct disk_usage usage = { 7, 7, 7, 7 };
	atomic_bool cancelled = true;
	struct error e = { 0 };

	write_file(p->fd, "a", 1);
	assert_int_equal(disk_walk(p->fd, &cancelled, &usage, &e), -ECANCELED);
	assert_int_equal(usage.inodes, 7);
	cancelled = false;
	assert_int_equal(disk_walk(p->fd, &cancelled, &usage, &e), 0);
	assert_int_equal(usage.inodes, 1);
}

static void a_walk_of_a_file_is_an_error(void **state)
{
	const struct place *p = *state;
	struct disk_usage usage = { 0 };
	struct error e = { 0 };

	write_file(p->fd, "a", 1);
	cleanup(close_fd) int file = openat(p->fd, "a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(disk_walk(file, NULL, &usage, &e), -ENOTDIR);
	assert_int_equal(disk_walk(-1, NULL, &usage, &e), -EBADF);
	assert_non_null(strstr(e.text, "Bad file descriptor"));
}

#define with_place(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_place(an_empty_directory_has_no_bytes),
		with_place(files_and_directories_add_up),
		with_place(a_sparse_file_counts_the_bytes_that_it_occupies),
		with_place(hard_links_to_one_file_count_once),
		with_place(a_hard_link_to_a_file_outside_counts),
		with_place(symbolic_links_are_not_followed),
		with_place(a_deep_tree_is_walked),
		with_place(a_wide_directory_is_walked),
		with_place(a_walk_ends_although_the_tree_is_moved),
		with_place(a_cancelled_walk_leaves_the_result_untouched),
		with_place(a_walk_of_a_file_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
