// SPDX-License-Identifier: Apache-2.0
/*
 * overlay_check [--only TEXT] DIR: tests userspace/overlay on this kernel, with stores that it
 * makes in DIR, in a mount namespace of its own. Runs all tests, or those with TEXT in their names.
 * Needs root. Prints "ok NAME", "skip NAME" or "FAIL NAME" for each test, and exits with 1 when one
 * failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "overlay/mount_table.h"
#include "overlay/overlay_mount.h"
#include "overlay/overlay_probe.h"
#include "overlay/overlay_staging.h"
#include "tests/lib/check_idmap.h"
#include "tests/lib/check_store.h"
#include "tests/lib/check_superblock.h"

#define METHOD_VARIABLE "VARVE_OVERLAY_METHOD"
#define THREADS 4
#define MOUNTS_PER_THREAD 25

enum needed { NOTHING, INDEX, VOLATILE, ID_MAP };

struct test {
	const char *name;
	bool (*run)(struct check *c, struct error *e);
	enum needed needed;
};

/* ---- mounts ---- */

static bool a_write_goes_to_the_upper(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c), upper = add_layer(c);
	cleanup(close_fd) int mount = -EBADF;

	require(mount_pair(c, lower.text, upper.text, &mount, e) == 0);
	require(has_file(mount, lower.text));
	require(write_file(mount, "new"));
	require(has_in_layer(c, upper.text, "new"));
	require(!has_in_layer(c, lower.text, "new"));
	require((fcntl(mount, F_GETFD) & FD_CLOEXEC) != 0);
	require(count_mounts(c) == 0);
	require(is_empty(c->store, "staging"));
	return true;
}

static bool an_upper_needs_no_lower(struct check *c, struct error *e)
{
	struct layer_name upper = add_layer(c);
	struct overlay_spec spec = { .upper = upper.text };
	cleanup(close_fd) int mount = -EBADF;

	require(overlay_mount_create(c->store, &c->features, &spec, &mount, e) == 0);
	require(write_file(mount, "new"));
	require(has_in_layer(c, upper.text, "new"));
	return true;
}

static bool one_layer_is_mounted_read_only(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c);
	cleanup(close_fd) int mount = -EBADF;

	require(mount_pair(c, lower.text, NULL, &mount, e) == 0);
	require(has_file(mount, lower.text));
	require(!write_file(mount, "new") && errno == EROFS);
	return true;
}

static bool five_hundred_lowers_can_be_read(struct check *c, struct error *e)
{
	static struct layer_name names[OVERLAY_MAX_LOWERS];
	const char *lowers[OVERLAY_MAX_LOWERS];
	struct layer_name upper = add_layer(c);
	struct overlay_spec spec = { lowers, OVERLAY_MAX_LOWERS, upper.text, false, NULL };
	cleanup(close_fd) int mount = -EBADF;

	for (size_t i = 0; i < OVERLAY_MAX_LOWERS; i++) {
		names[i] = add_layer(c);
		lowers[i] = names[i].text;
	}
	require(overlay_mount_create(c->store, &c->features, &spec, &mount, e) == 0);
	for (size_t i = 0; i < OVERLAY_MAX_LOWERS; i++)
		require(has_file(mount, lowers[i]));
	require(write_file(mount, "new"));
	spec.upper = NULL;
	(void)close(take_fd(&mount));
	require(overlay_mount_create(c->store, &c->features, &spec, &mount, e) == 0);
	require(has_file(mount, lowers[0]) && has_file(mount, lowers[OVERLAY_MAX_LOWERS - 1]));
	return true;
}

static bool one_more_lower_is_refused(struct check *c, struct error *e)
{
	const char *lowers[OVERLAY_MAX_LOWERS + 1];
	struct overlay_spec spec = { lowers, OVERLAY_MAX_LOWERS + 1, NULL, false, NULL };
	struct layer_name lower = add_layer(c);
	int mount = -EBADF;

	for (size_t i = 0; i <= OVERLAY_MAX_LOWERS; i++)
		lowers[i] = lower.text;
	require(overlay_mount_create(c->store, &c->features, &spec, &mount, e) == -EMFILE);
	require(strstr(e->text, "501") && strstr(e->text, "500"));
	require(mount == -EBADF && count_mounts(c) == 0 && is_empty(c->store, "staging"));
	return true;
}

static bool a_missing_layer_is_named(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c);
	int mount = -EBADF;

	require(mount_pair(c, "no-such", NULL, &mount, e) == -ENOENT);
	require(strstr(e->text, "layers/no-such/fs"));
	require(mount_pair(c, lower.text, "no-upper", &mount, e) == -ENOENT);
	require(strstr(e->text, "layers/no-upper/fs"));
	require(mount == -EBADF && count_mounts(c) == 0 && is_empty(c->store, "staging"));
	return true;
}

static bool an_upper_in_use_is_found(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c), upper = add_layer(c);
	cleanup(close_fd) int mount = -EBADF;
	bool in_use = true;

	require(overlay_probe_upper_in_use(c->store, &c->features, upper.text, &in_use, e) == 0);
	require(!in_use);
	require(mount_pair(c, lower.text, upper.text, &mount, e) == 0);
	require(overlay_probe_upper_in_use(c->store, &c->features, upper.text, &in_use, e) == 0);
	require(in_use);
	require(overlay_probe_upper_in_use(c->store, &c->features, lower.text, &in_use, e) == 0);
	require(!in_use);
	(void)close(take_fd(&mount));
	require(overlay_probe_upper_in_use(c->store, &c->features, upper.text, &in_use, e) == 0);
	require(!in_use && !has_file(c->store, "overlay-probe") && count_mounts(c) == 0);
	return true;
}

/* In a copied store the files have other handles. */
static bool an_upper_is_not_tied_to_its_lower(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c), other = add_layer(c), upper = add_layer(c);
	cleanup(close_fd) int mount = -EBADF;

	require(mount_pair(c, lower.text, upper.text, &mount, e) == 0);
	(void)close(take_fd(&mount));
	require(mount_pair(c, other.text, upper.text, &mount, e) == 0);
	require(has_file(mount, other.text) && write_file(mount, "new"));
	return true;
}

static bool is_same_file(int directory, const char *name, const char *other)
{
	struct stat s, t;

	return fstatat(directory, name, &s, 0) == 0 && fstatat(directory, other, &t, 0) == 0 &&
	       s.st_ino == t.st_ino;
}

static bool hard_links_are_seen_as_they_are_kept(struct check *c, struct error *e)
{
	struct layer_name lower = add_layer(c), upper = add_layer(c);
	const char *both[] = { upper.text, lower.text };
	struct overlay_spec spec = { both, 2, NULL, false, NULL };
	cleanup(close_fd) int mount = -EBADF;
	cleanup(close_fd) int view = -EBADF;
	char path[64];

	(void)snprintf(path, sizeof(path), "layers/%s/fs", lower.text);
	cleanup(close_fd) int fs = openat(c->store, path, O_PATH | O_CLOEXEC);
	require(write_file(fs, "h1") && linkat(fs, "h1", fs, "h2", 0) == 0);
	require(mount_pair(c, lower.text, upper.text, &mount, e) == 0);
	require(write_file(mount, "h1"));
	bool live = is_same_file(mount, "h1", "h2");
	(void)close(take_fd(&mount));
	require(overlay_mount_create(c->store, &c->features, &spec, &view, e) == 0);
	require(is_same_file(view, "h1", "h2") == live);
	return true;
}

static bool a_volatile_mount_uses_up_its_work_directory(struct check *c, struct error *e)
{
	struct layer_name upper = add_layer(c);
	struct overlay_spec spec = { .upper = upper.text, .volatile_upper = true };
	cleanup(close_fd) int mount = -EBADF;

	require(overlay_mount_create(c->store, &c->features, &spec, &mount, e) == 0);
	require(write_file(mount, "new"));
	(void)close(take_fd(&mount));
	require(has_in_layer(c, upper.text, "new"));
	require(overlay_mount_create(c->store, &c->features, &spec, &mount, e) == -EINVAL);
	require(strstr(e->text, "volatile"));
	return true;
}

/* The path is too long for an option of fsconfig(2), and has characters that are special in
 * options. */
static bool a_store_can_have_any_path(struct check *c, struct error *e)
{
	char path[512];
	struct check other;
	cleanup(close_fd) int mount = -EBADF;

	(void)snprintf(path, sizeof(path), "%s/a:b,c\\d %0200d", c->path, 0);
	require(make_store(path, &other));
	cleanup(close_fd) int store = other.store;
	other.features = c->features;
	require(store >= 0);
	struct layer_name lower = add_layer(&other), upper = add_layer(&other);
	require(mount_pair(&other, lower.text, upper.text, &mount, e) == 0);
	require(has_file(mount, lower.text) && write_file(mount, "new"));
	require(has_in_layer(&other, upper.text, "new"));
	return true;
}

struct mounter {
	struct check *c;
	struct layer_name lowers[MOUNTS_PER_THREAD], uppers[MOUNTS_PER_THREAD];
	struct error e;
	int result;
};

static void *mount_many(void *user)
{
	struct mounter *m = user;

	for (size_t i = 0; i < MOUNTS_PER_THREAD && m->result == 0; i++) {
		cleanup(close_fd) int mount = -EBADF;

		m->result = mount_pair(m->c, m->lowers[i].text, m->uppers[i].text, &mount, &m->e);
		if (m->result == 0 && !has_file(mount, m->lowers[i].text))
			m->result = -ENOENT;
	}
	return NULL;
}

static bool threads_mount_at_the_same_time(struct check *c, struct error *e)
{
	static struct mounter mounters[THREADS];
	pthread_t threads[THREADS];
	struct stat before, after;

	require(stat(".", &before) == 0);
	for (size_t i = 0; i < THREADS; i++) {
		mounters[i] = (struct mounter){ .c = c };
		for (size_t k = 0; k < MOUNTS_PER_THREAD; k++) {
			mounters[i].lowers[k] = add_layer(c);
			mounters[i].uppers[k] = add_layer(c);
		}
	}
	for (size_t i = 0; i < THREADS; i++)
		require(pthread_create(&threads[i], NULL, mount_many, &mounters[i]) == 0);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	for (size_t i = 0; i < THREADS; i++) {
		*e = mounters[i].e;
		require(mounters[i].result == 0);
	}
	require(stat(".", &after) == 0 && before.st_ino == after.st_ino);
	require(count_mounts(c) == 0 && is_empty(c->store, "staging"));
	return true;
}

/* An agent that is killed between a mount and its removal from staging/ leaves this. */
static bool a_stage_left_behind_is_cleared(struct check *c, struct error *e)
{
	cleanup(close_fd) int staging = openat(c->store, "staging", O_PATH | O_CLOEXEC);
	char path[64];

	require(mkdirat(staging, "left", 0700) == 0 && mkdirat(staging, "bare", 0700) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/left", staging);
	require(mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
	require(mkdirat(staging, "left/m", 0700) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/left/m", staging);
	require(mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
	require(overlay_staging_clear(c->store, e) == 0);
	require(count_mounts(c) == 0);
	(void)close(take_fd(&staging));
	require(is_empty(c->store, "staging"));
	return true;
}

/* ---- mount points ---- */

static bool attaching_keeps_the_device(struct check *c, struct error *e)
{
	cleanup(close_fd) int mount = -EBADF;
	cleanup(close_fd) int mounts = check_attach_new(c, "device", &mount, e);
	cleanup(mount_table_free) struct mount_table *t = NULL;
	cleanup(free_ptr) char *path = realpath(c->path, NULL);
	struct stat detached, attached;

	require(mounts >= 0 && path);
	require(fstat(mount, &detached) == 0 && fstatat(mounts, "device", &attached, 0) == 0);
	require(detached.st_dev == attached.st_dev && detached.st_ino == attached.st_ino);
	require(mount_table_below(path, &t, e) == 0 && t->count == 1);
	require(t->entries[0].device == attached.st_dev && !t->entries[0].read_only);
	require(strcmp(t->entries[0].file_system, "overlay") == 0);
	require(strcmp(strrchr(t->entries[0].target, '/'), "/device") == 0);
	require(overlay_mount_attach(mount, mounts, "no-such", e) < 0);
	(void)close(take_fd(&mount));
	require(overlay_unmount(mounts, "device", e) == 0);
	require(overlay_unmount(mounts, "device", e) == -EINVAL);
	require(count_mounts(c) == 0);
	return true;
}

static bool a_clone_is_read_only(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "original", NULL, e);
	cleanup(close_fd) int clone = -EBADF;
	struct stat of_original, of_clone;

	require(mounts >= 0);
	require(mkdirat(mounts, "clone", 0700) == 0);
	require(overlay_mount_clone_read_only(mounts, "clone", &clone, e) == -EINVAL);
	require(overlay_mount_clone_read_only(mounts, "original", &clone, e) == 0);
	require(overlay_mount_attach(clone, mounts, "clone", e) == 0);
	require(fstatat(mounts, "original", &of_original, 0) == 0 &&
		fstatat(mounts, "clone", &of_clone, 0) == 0);
	require(of_original.st_dev == of_clone.st_dev);
	require(write_file(mounts, "original/new") && has_file(mounts, "clone/new"));
	require(!write_file(mounts, "clone/other") && errno == EROFS);
	(void)close(take_fd(&clone));
	require(overlay_unmount(mounts, "original", e) == 0);
	require(!write_file(mounts, "clone/other") && errno == EROFS);
	require(overlay_unmount(mounts, "clone", e) == 0);
	return true;
}

/* ---- holders ---- */

enum holding { BY_DIRECTORY, BY_ROOT, BY_MAPPING, BY_FILE, FROM_ANOTHER_NAMESPACE };

static void hold(int mounts, const char *name, enum holding how)
{
	cleanup(close_fd) int directory = openat(mounts, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int file = openat(directory, "held", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool held = file >= 0 && ftruncate(file, 4096) == 0;

	if (how == BY_DIRECTORY)
		held = held && fchdir(directory) == 0;
	else if (how == BY_ROOT)
		held = held && fchdir(directory) == 0 && chroot(".") == 0 && chdir("/") == 0;
	else if (how == BY_MAPPING)
		held = held && mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED;
	else if (how == FROM_ANOTHER_NAMESPACE) /* the file stays open in the first namespace */
		held = held && unshare(CLONE_NEWNS) == 0;
	if (how <= BY_MAPPING)
		(void)close(file);
	if (!held)
		_exit(1);
}

/* Starts a process called "holder" that keeps the mount busy; returns -1 when that fails. */
static pid_t start_holder(int mounts, const char *name, enum holding how)
{
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, "holder");
		hold(mounts, name, how);
		(void)!write(ready[1], "r", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	bool started = pid > 0 && read(ready[0], &byte, 1) == 1;
	(void)close(ready[0]);
	return started ? pid : -1;
}

static void end_holder(pid_t pid)
{
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
}

static bool a_holder_is_named(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "held", NULL, e);

	require(mounts >= 0);
	for (int how = BY_DIRECTORY; how <= FROM_ANOTHER_NAMESPACE; how++) {
		pid_t pid = start_holder(mounts, "held", (enum holding)how);
		char expected[64];
		int r = overlay_unmount(mounts, "held", e);

		end_holder(pid);
		(void)snprintf(expected, sizeof(expected), "by holder (%d)", pid);
		require(pid > 0 && r == -EBUSY && strstr(e->text, expected));
	}
	require(overlay_unmount(mounts, "held", e) == 0);
	return true;
}

static bool many_holders_are_counted(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "crowded", NULL, e);
	pid_t pids[8];
	int r;

	require(mounts >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = start_holder(mounts, "crowded", BY_DIRECTORY);
	r = overlay_unmount(mounts, "crowded", e);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		end_holder(pids[i]);
	require(r == -EBUSY && strstr(e->text, " and 3 more"));
	require(overlay_unmount(mounts, "crowded", e) == 0);
	return true;
}

static bool a_mount_below_is_named(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "parent", NULL, e);
	char path[64];

	require(mounts >= 0 && mkdirat(mounts, "parent/child", 0700) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/parent/child", mounts);
	require(mount("tmpfs", path, "tmpfs", MS_RDONLY, NULL) == 0);
	require(overlay_unmount(mounts, "parent", e) == -EBUSY);
	require(strstr(e->text, "tmpfs on ") && strstr(e->text, "/parent/child"));
	require(overlay_unmount(mounts, "parent/child", e) == -EINVAL);
	require(umount2(path, 0) == 0 && overlay_unmount(mounts, "parent", e) == 0);
	return true;
}

/* ---- the probe ---- */

static bool the_probe_leaves_nothing(struct check *c, struct error *e)
{
	struct overlay_features features;

	require(overlay_probe(c->store, &features, e) == 0);
	require(features.method == c->features.method && *features.file_system);
	require(count_mounts(c) == 0 && !has_file(c->store, "overlay-probe"));
	require(mkdirat(c->store, "overlay-probe", 0700) == 0); /* of a killed probe */
	require(mkdirat(c->store, "overlay-probe/layers", 0700) == 0);
	require(overlay_probe(c->store, &features, e) == 0);
	require(!has_file(c->store, "overlay-probe"));
	return true;
}

static bool an_unfit_file_system_is_refused(struct check *c, struct error *e)
{
	cleanup(close_fd) int mounts = check_attach_new(c, "unfit", NULL, e);
	struct overlay_features features;
	char path[64];

	(void)unsetenv(METHOD_VARIABLE); /* it is set before each test */
	require(mounts >= 0);
	cleanup(close_fd) int in_overlay = openat(mounts, "unfit", O_RDONLY | O_CLOEXEC);
	require(overlay_probe(in_overlay, &features, e) < 0);
	require(strstr(e->text, "does not take overlay") && strstr(e->text, "--root"));
	(void)close(take_fd(&in_overlay));
	require(overlay_unmount(mounts, "unfit", e) == 0);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/unfit", mounts);
	for (int i = 0; i < 100; i++) { /* what a probe leaves is busy only for a moment */
		require(mount("ramfs", path, "ramfs", 0, NULL) == 0);
		cleanup(close_fd) int in_ramfs = openat(mounts, "unfit", O_RDONLY | O_CLOEXEC);
		int r = overlay_probe(in_ramfs, &features, e);
		(void)close(take_fd(&in_ramfs));
		require(umount2(path, 0) == 0);
		require(r < 0 && strstr(e->text, "does not take ramfs") && strstr(e->text, "ext4"));
	}
	return true;
}

static bool an_unknown_method_is_refused(struct check *c, struct error *e)
{
	struct overlay_features features;

	(void)setenv(METHOD_VARIABLE, "magic", 1);
	require(overlay_probe(c->store, &features, e) == -EINVAL);
	require(strstr(e->text, "magic"));
	return true;
}

/* ---- all of them ---- */

static const struct test tests[] = {
	{ "a write goes to the upper", a_write_goes_to_the_upper, NOTHING },
	{ "an upper needs no lower", an_upper_needs_no_lower, NOTHING },
	{ "one layer is mounted read-only", one_layer_is_mounted_read_only, NOTHING },
	{ "500 lowers can be read", five_hundred_lowers_can_be_read, NOTHING },
	{ "501 lowers are refused", one_more_lower_is_refused, NOTHING },
	{ "a missing layer is named", a_missing_layer_is_named, NOTHING },
	{ "an upper in use is found", an_upper_in_use_is_found, INDEX },
	{ "an upper is not tied to its lower", an_upper_is_not_tied_to_its_lower, NOTHING },
	{ "hard links are seen as they are kept", hard_links_are_seen_as_they_are_kept, NOTHING },
	{ "a volatile mount uses up its work directory",
	  a_volatile_mount_uses_up_its_work_directory, VOLATILE },
	{ "a store can have any path", a_store_can_have_any_path, NOTHING },
	{ "threads mount at the same time", threads_mount_at_the_same_time, NOTHING },
	{ "a stage left behind is cleared", a_stage_left_behind_is_cleared, NOTHING },
	{ "attaching keeps the device", attaching_keeps_the_device, NOTHING },
	{ "a clone is read-only", a_clone_is_read_only, NOTHING },
	{ "a holder is named", a_holder_is_named, NOTHING },
	{ "many holders are counted", many_holders_are_counted, NOTHING },
	{ "a mount below is named", a_mount_below_is_named, NOTHING },
	{ "a read-only superblock stops every clone",
	  check_superblock_a_read_only_superblock_stops_every_clone, NOTHING },
	{ "a writer in another namespace is named",
	  check_superblock_a_writer_in_another_namespace_is_named, NOTHING },
	{ "the end of a superblock is noticed", check_superblock_the_end_of_a_superblock_is_noticed,
	  NOTHING },
	{ "the probe leaves nothing behind", the_probe_leaves_nothing, NOTHING },
	{ "an unfit file system is refused", an_unfit_file_system_is_refused, NOTHING },
	{ "an unknown method is refused", an_unknown_method_is_refused, NOTHING },
	{ "a map shows other owners", check_idmap_a_map_shows_other_owners, ID_MAP },
	{ "a container writes in its map", check_idmap_a_container_writes_what_is_its_own, ID_MAP },
	{ "one layer can have two maps at once", check_idmap_two_maps_of_one_layer, ID_MAP },
	{ "500 lowers can have a map", check_idmap_five_hundred_lowers_with_a_map, ID_MAP },
	{ "a mapped mount leaves no trace", check_idmap_a_mapped_mount_leaves_no_trace, ID_MAP },
	{ "a mapped stage left behind is cleared",
	  check_idmap_a_mapped_stage_left_behind_is_cleared, NOTHING },
	{ "a file system without maps is refused with a reason",
	  check_idmap_what_has_no_map_says_why, NOTHING },
};

static bool run_test(struct check *c, const char *method, const struct test *test)
{
	struct error e = { 0 };

	if ((test->needed == INDEX && !c->features.index_guards) ||
	    (test->needed == VOLATILE && !c->features.volatile_mounts) ||
	    (test->needed == ID_MAP && *c->features.id_map_refusal)) {
		printf("skip %s: %s\n", method, test->name);
		return true;
	}
	errno = 0;
	(void)setenv(METHOD_VARIABLE, method, 1);
	bool passed = test->run(c, &e);
	printf("%s %s: %s\n", passed ? "ok" : "FAIL", method, test->name);
	return passed;
}

static bool run_method(const char *directory, enum overlay_method method, const char *only)
{
	const char *name = overlay_method_name(method);
	char path[256];
	struct error e = { 0 };
	struct check c;
	bool passed = true;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (!make_store(path, &c)) {
		printf("FAIL %s: make a store in %s: %s\n", name, path, strerror(errno));
		return false;
	}
	(void)setenv(METHOD_VARIABLE, name, 1);
	if (overlay_probe(c.store, &c.features, &e) < 0) {
		/* Kernels without lowerdir+ mount by mount(2). */
		bool may_lack = method == OVERLAY_METHOD_LOWERDIR_PLUS;
		printf("%s %s: %s\n", may_lack ? "skip" : "FAIL", name, e.text);
		return may_lack;
	}
	printf("# %s on %s: layers in use are found %s, volatile %s, id maps %s\n", name,
	       c.features.file_system, c.features.index_guards ? "yes" : "no",
	       c.features.volatile_mounts ? "yes" : "no",
	       *c.features.id_map_refusal ? c.features.id_map_refusal : "yes");
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if ((!only || strstr(tests[i].name, only)) && !run_test(&c, name, &tests[i]))
			passed = false;
	(void)close(c.store);
	return passed;
}

static bool choose_itself(const char *directory)
{
	cleanup(close_fd) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct overlay_features features;
	struct error e = { 0 };

	(void)unsetenv(METHOD_VARIABLE);
	if (overlay_probe(fd, &features, &e) < 0) {
		printf("FAIL the probe finds a method: %s\n", e.text);
		return false;
	}
	printf("ok the probe finds a method: %s\n", overlay_method_name(features.method));
	return true;
}

int main(int argc, char **argv)
{
	const char *only = argc == 4 && strcmp(argv[1], "--only") == 0 ? argv[2] : NULL;
	const char *directory = argv[argc - 1];
	bool passed;

	if (argc != (only ? 4 : 2)) {
		(void)fprintf(stderr, "usage: overlay_check [--only TEXT] DIR\n");
		return 2;
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("FAIL a mount namespace: %s\n", strerror(errno));
		return 1;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	passed = choose_itself(directory);
	for (int method = OVERLAY_METHOD_LOWERDIR_PLUS; method <= OVERLAY_METHOD_MOUNT; method++)
		if (!run_method(directory, (enum overlay_method)method, only))
			passed = false;
	return passed ? 0 : 1;
}
