// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/check_superblock.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "overlay/overlay_mount.h"
#include "overlay/overlay_superblock.h"
#include "overlay/superblock_watch.h"

/* A process in a mount namespace of its own, which has clones of all mounts. For each byte that it
 * reads from `orders` it tries to write a file, and answers whether it could. */
struct cloner {
	pid_t pid;
	int orders, answers;
};

static void obey(const char *path, bool keeps_writing, int orders, int answers)
{
	char byte = 'r';
	cleanup(close_fd) int directory = -EBADF;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(1);
	if (keeps_writing) {
		directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		(void)openat(directory, "kept", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	}
	(void)!write(answers, &byte, 1);
	while (read(orders, &byte, 1) == 1) {
		cleanup(close_fd) int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		byte = write_file(at, "by-cloner") ? 'y' : 'n';
		(void)!write(answers, &byte, 1);
	}
	_exit(0);
}

static bool start_cloner(const char *path, bool keeps_writing, struct cloner *ret_cloner)
{
	int orders[2], answers[2];
	char byte;

	if (pipe2(orders, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, "cloner");
		(void)close(orders[1]);
		obey(path, keeps_writing, orders[0], answers[1]);
	}
	(void)close(orders[0]);
	(void)close(answers[1]);
	*ret_cloner = (struct cloner){ pid, orders[1], answers[0] };
	return pid > 0 && read(answers[0], &byte, 1) == 1;
}

static bool cloner_can_write(const struct cloner *cloner)
{
	char byte = 'w';

	return write(cloner->orders, &byte, 1) == 1 && read(cloner->answers, &byte, 1) == 1 &&
	       byte == 'y';
}

static void end_cloner(const struct cloner *cloner)
{
	(void)close(cloner->orders);
	(void)close(cloner->answers);
	(void)waitpid(cloner->pid, NULL, 0);
}

bool check_superblock_a_read_only_superblock_stops_every_clone(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "cloned", NULL, e);
	struct cloner cloner;
	char path[300];

	require(mounts >= 0);
	(void)snprintf(path, sizeof(path), "%s/mounts/cloned", c->path);
	require(start_cloner(path, false, &cloner) && cloner_can_write(&cloner));
	require(overlay_superblock_set_read_only(mounts, "cloned", true, e) == 0);
	require(!cloner_can_write(&cloner) && !write_file(mounts, "cloned/new"));
	require(overlay_superblock_set_read_only(mounts, "cloned", false, e) == 0);
	require(cloner_can_write(&cloner));
	require(overlay_superblock_set_read_only(mounts, "cloned", true, e) == 0);
	require(overlay_unmount(mounts, "cloned", e) == 0);
	require(!cloner_can_write(&cloner));
	end_cloner(&cloner);
	require(overlay_superblock_set_read_only(mounts, "cloned", true, e) == -EINVAL);
	return true;
}

bool check_superblock_a_writer_in_another_namespace_is_named(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "written", NULL, e);
	struct cloner cloner;
	char path[300], expected[64];

	require(mounts >= 0);
	(void)snprintf(path, sizeof(path), "%s/mounts/written", c->path);
	require(start_cloner(path, true, &cloner));
	(void)snprintf(expected, sizeof(expected), "cloner (%d)", cloner.pid);
	require(overlay_superblock_set_read_only(mounts, "written", true, e) == -EBUSY);
	require(strstr(e->text, expected));
	require(write_file(mounts, "written/new"));
	end_cloner(&cloner);
	require(overlay_superblock_set_read_only(mounts, "written", true, e) == 0);
	require(overlay_unmount(mounts, "written", e) == 0);
	return true;
}

bool check_superblock_the_end_of_a_superblock_is_noticed(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "watched", NULL, e);
	cleanup(superblock_watch_free) struct superblock_watch *w = NULL;
	struct cloner cloner;
	char path[300], expected[96];
	int number;
	dev_t device;

	require(mounts >= 0 && superblock_watch_new(&w, e) == 0);
	(void)snprintf(path, sizeof(path), "%s/mounts/watched", c->path);
	require(start_cloner(path, false, &cloner));
	require(overlay_superblock_device(mounts, "watched", &device, e) == 0);
	require(superblock_watch_add(w, mounts, "watched", &number, e) == 0);
	require(overlay_unmount(mounts, "watched", e) == 0);
	require(!superblock_watch_is_gone(w, number) && overlay_superblock_exists(device));
	require(overlay_superblock_refuse_busy("it", device, e) == -EBUSY);
	(void)snprintf(expected, sizeof(expected),
		       "it is in use by cloner (%d) in whose mount namespace it is mounted on /",
		       cloner.pid);
	require(strstr(e->text, expected));
	end_cloner(&cloner);
	for (int i = 0; i < 12000 && !superblock_watch_is_gone(w, number); i++)
		(void)poll(NULL, 0, 5); /* a worker of the kernel tears the namespace down */
	/* Its device number may belong to a superblock of another test by now. */
	require(superblock_watch_is_gone(w, number));
	return true;
}
