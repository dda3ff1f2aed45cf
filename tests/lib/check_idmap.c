// SPDX-License-Identifier: Apache-2.0
#include "tests/lib/check_idmap.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "overlay/overlay_mount.h"
#include "overlay/overlay_staging.h"

#define FIRST_MAP "0:100000:65536"
#define SECOND_MAP "0:500000:1000,1000:600000:1000"

static int mount_mapped(struct check *c, const char *const *lowers, size_t lower_count,
			const char *upper, const char *list, int *ret_mount, struct error *e)
{
	struct id_map map = { (char *)list, (char *)list };
	struct overlay_spec spec = { lowers, lower_count, upper, false, &map };

	return overlay_mount_create(c->store, &c->features, &spec, ret_mount, e);
}

/* Makes a file in the layer with this owner on disk. */
static bool add_owned(struct check *c, const char *layer, const char *name, uid_t owner)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "layers/%s/fs/%s", layer, name);
	return write_file(c->store, path) && fchownat(c->store, path, owner, owner, 0) == 0;
}

static bool owner_is(int directory, const char *name, uid_t owner)
{
	struct stat s;

	return fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && s.st_uid == owner &&
	       s.st_gid == owner;
}

static bool owner_on_disk_is(struct check *c, const char *layer, const char *name, uid_t owner)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "layers/%s/fs/%s", layer, name);
	return owner_is(c->store, path, owner);
}

static bool write_text(const char *path, const char *text)
{
	cleanup(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool give_map(pid_t child, const char *file, const char *map)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", child, file);
	return write_text(path, map);
}

/* Works in the mount as root of a user namespace with the first map. Returns the number of the step
 * that failed, or 0. */
static int live_in_container(int mount)
{
	if (fchdir(mount) < 0 || setgid(0) < 0 || setuid(0) < 0)
		return 1;
	if (!owner_is(AT_FDCWD, "of-root", 0) || !owner_is(AT_FDCWD, "of-user", 1000))
		return 2;
	if (!write_file(AT_FDCWD, "new") || !owner_is(AT_FDCWD, "new", 0))
		return 3;
	if (chown("new", 1000, 1000) < 0 || mkdir("directory", 0755) < 0)
		return 4;
	if (!write_file(AT_FDCWD, "of-user") || !owner_is(AT_FDCWD, "of-user", 1000))
		return 5;
	if (unlink("of-root") < 0 || mkdir("of-root", 0755) < 0)
		return 6;
	if (!owner_is(AT_FDCWD, "of-nobody", 65534) || write_file(AT_FDCWD, "of-nobody"))
		return 7;
	return 0;
}

/* Runs live_in_container() in a child with a user namespace of its own, and returns its result; -1
 * when there is no child. */
static int run_container(int mount)
{
	int ready[2], status = -1;
	char byte = 0;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0UL);
	if (child == 0)
		_exit(read(ready[0], &byte, 1) == 1 ? live_in_container(mount) : 100);
	(void)close(ready[0]);
	if (child > 0 && give_map(child, "uid_map", "0 100000 65536\n") &&
	    give_map(child, "gid_map", "0 100000 65536\n"))
		(void)!write(ready[1], &byte, 1);
	(void)close(ready[1]);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool check_idmap_a_map_shows_other_owners(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c), upper = add_layer(c);
	const char *lowers[] = { lower.text };
	cleanup(close_fd) int view = -EBADF;
	cleanup(close_fd) int mount = -EBADF;

	require(add_owned(c, lower.text, "of-root", 0) &&
		add_owned(c, lower.text, "of-user", 1000));
	require(mount_mapped(c, lowers, 1, NULL, FIRST_MAP, &view, e) == 0);
	require(owner_is(view, "of-root", 100000) && owner_is(view, "of-user", 101000));
	require(!write_file(view, "new") && errno == EROFS);
	require(mount_mapped(c, lowers, 1, upper.text, SECOND_MAP, &mount, e) == 0);
	require(owner_is(mount, "of-root", 500000) && owner_is(mount, "of-user", 600000));
	require(!write_file(mount, "new") &&
		errno == EOVERFLOW); /* root of the host is not mapped */
	require(unlinkat(mount, "of-root", 0) == 0);
	require(owner_on_disk_is(c, upper.text, "of-root", 0));
	require(owner_on_disk_is(c, lower.text, "of-user", 1000));
	return true;
}

bool check_idmap_a_container_writes_what_is_its_own(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c), upper = add_layer(c);
	const char *lowers[] = { lower.text };
	cleanup(close_fd) int mount = -EBADF;

	require(add_owned(c, lower.text, "of-root", 0) &&
		add_owned(c, lower.text, "of-user", 1000));
	require(add_owned(c, lower.text, "of-nobody", 70000));
	require(mount_mapped(c, lowers, 1, upper.text, FIRST_MAP, &mount, e) == 0);
	int failed_step = run_container(mount);
	if (failed_step)
		printf("  step %d\n", failed_step);
	require(failed_step == 0);
	require(owner_on_disk_is(c, upper.text, "new", 1000));
	require(owner_on_disk_is(c, upper.text, "directory", 0));
	require(owner_on_disk_is(c, upper.text, "of-user", 1000));
	require(owner_on_disk_is(c, upper.text, "of-root", 0));
	(void)close(take_fd(&mount));
	require(mount_pair(c, lower.text, upper.text, &mount, e) == 0); /* and now without a map */
	require(owner_is(mount, "new", 1000) && owner_is(mount, "of-nobody", 70000));
	return true;
}

bool check_idmap_two_maps_of_one_layer(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c), a = add_layer(c), b = add_layer(c);
	const char *lowers[] = { lower.text };
	cleanup(close_fd) int first = -EBADF;
	cleanup(close_fd) int second = -EBADF;

	require(mount_mapped(c, lowers, 1, a.text, FIRST_MAP, &first, e) == 0);
	require(mount_mapped(c, lowers, 1, b.text, SECOND_MAP, &second, e) == 0);
	require(owner_is(first, lower.text, 100000) && owner_is(second, lower.text, 500000));
	require(owner_on_disk_is(c, lower.text, lower.text, 0));
	return true;
}

bool check_idmap_five_hundred_lowers_with_a_map(struct check *c, struct error *e)
{
	static struct layer_name names[OVERLAY_MAX_LOWERS];
	const char *lowers[OVERLAY_MAX_LOWERS];
	struct layer_name upper = add_layer(c);
	cleanup(close_fd) int mount = -EBADF;

	for (size_t i = 0; i < OVERLAY_MAX_LOWERS; i++) {
		names[i] = add_layer(c);
		lowers[i] = names[i].text;
	}
	require(mount_mapped(c, lowers, OVERLAY_MAX_LOWERS, upper.text, FIRST_MAP, &mount, e) == 0);
	for (size_t i = 0; i < OVERLAY_MAX_LOWERS; i++)
		require(owner_is(mount, lowers[i], 100000));
	return true;
}

/* Neither a mount that was made nor one that failed changes this thread's namespaces or leaves a
 * mount. */
bool check_idmap_a_mapped_mount_leaves_no_trace(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c);
	const char *lowers[] = { lower.text, "no-such" };
	int mount = -EBADF;

	require(mount_mapped(c, lowers, 2, NULL, FIRST_MAP, &mount, e) == -ENOENT);
	require(strstr(e->text, "layers/no-such/fs") && mount == -EBADF);
	require(mount_mapped(c, lowers, 1, NULL, FIRST_MAP, &mount, e) == 0);
	(void)close(take_fd(&mount));
	require(count_mounts(c) == 0 && is_empty(c->store, "staging"));
	require(setfsuid((uid_t)-1) == 0 && setfsgid((gid_t)-1) == 0);
	require(prctl(PR_GET_DUMPABLE) == 1);
	require(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	return true;
}

/* An agent that is killed at the innermost step leaves a clone of the store on one stage, and
 * through that clone a mount on another stage. */
bool check_idmap_a_mapped_stage_left_behind_is_cleared(struct check *c, struct error *e)
{
	static const char *const names[] = { "a", "b" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *outer = names[i], *inner = names[1 - i];

		require(mkdirat(c->store, "staging/a", 0700) == 0 &&
			mkdirat(c->store, "staging/b", 0700) == 0 &&
			mkdirat(c->store, "staging/a/m", 0700) == 0 &&
			mkdirat(c->store, "staging/b/m", 0700) == 0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/staging/%s", c->store, outer);
		require(mount(path, path, NULL, MS_BIND, NULL) == 0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/staging/%s/m", c->store,
			       outer);
		require(mount(c->path, path, NULL, MS_BIND, NULL) == 0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/staging/%s/m/staging/%s/m",
			       c->store, outer, inner);
		require(mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
		require(overlay_staging_clear(c->store, e) == 0);
		require(count_mounts(c) == 0 && is_empty(c->store, "staging"));
	}
	return true;
}

/* A store on ramfs, which has no id maps on any kernel so far. */
bool check_idmap_what_has_no_map_says_why(struct check *c, struct error *e)
{
	struct layer_name lower;
	const char *lowers[] = { lower.text };
	struct check other;
	char path[512];
	int mounted = -EBADF;

	(void)snprintf(path, sizeof(path), "%s/without-maps", c->path);
	require(mkdir(path, 0700) == 0 && mount("ramfs", path, "ramfs", 0, NULL) == 0);
	(void)snprintf(path, sizeof(path), "%s/without-maps/store", c->path);
	require(make_store(path, &other));
	other.features = c->features;
	(void)strcpy(other.features.file_system, "ramfs");
	lower = add_layer(&other);
	int r = mount_mapped(&other, lowers, 1, NULL, FIRST_MAP, &mounted, e);
	(void)close(take_fd(&other.store));
	(void)snprintf(path, sizeof(path), "%s/without-maps", c->path);
	require(umount2(path, 0) == 0 && rmdir(path) == 0);
	require(r == -ENOTSUP && strstr(e->text, "ramfs takes no map of ids"));
	return true;
}
