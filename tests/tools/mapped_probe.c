/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_probe [--backend overlay|syscall] DIR: maps files of layers in DIR, touches known parts of
 * them, and compares the bytes that the BPF programs say were mapped in. A fault maps up to
 * AROUND_MAX pages, so each check has a lower and an upper bound. Prints `ok NAME` or
 * `FAIL NAME: …` for each check.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tests/lib/check_store.h"
#include "usage/usage_bpf.h"
#include "usage/usage_files.h"
#include "usage/usage_handle.h"
#include "usage/usage_layers.h"
#include "usage/usage_mapped.h"
#include "usage/usage_reader.h"

#define PIN_DIR "/sys/fs/bpf/varve-mapped-probe/v1"
#define FILE_PAGES 1024
#define TOUCH_EVERY 64 /* pages: no two faults map the same ones */
#define TOUCHED (FILE_PAGES / TOUCH_EVERY)
#define AROUND_MAX 17 /* the 16 pages around, and the one itself when it was not cached */
#define MOUNT_ID 7

static struct usage_bpf *usage;
static uint64_t page_size;
static unsigned int failures;
static uint64_t last_owner = 1000;

static void say(bool ok, const char *name, const char *detail)
{
	printf("%s %s%s%s\n", ok ? "ok" : "FAIL", name, ok ? "" : ": ", ok ? "" : detail);
	failures += !ok;
}

/* A layer with a file of FILE_PAGES, and an overlay of it that is not registered. */
struct mounted {
	struct layer_name layer;
	struct usage_root root;
	uint64_t owner; /* 0: it is not watched */
	char fs[300], path[300]; /* the layer itself, and the mount */
};

/* ---- what was counted ---- */

struct sum {
	uint64_t owner, mapped, uses; /* owner 0: of all */
	uint64_t mapped_as_upper; /* of a layer that is one */
};

static int add_cell(const struct usage_cell *cell, void *user)
{
	struct sum *sum = user;

	if (!sum->owner || cell->owner == sum->owner) {
		sum->mapped += cell->totals.counters[USAGE_MAPPED_BYTES];
		if (cell->owner & USAGE_LAYER_OWNER && cell->layer == USAGE_AS_UPPER)
			sum->mapped_as_upper += cell->totals.counters[USAGE_MAPPED_BYTES];
		sum->uses += cell->totals.uses;
	}
	return 0;
}

static struct sum read_sum(uint64_t owner)
{
	struct sum sum = { .owner = owner };
	struct error e = { 0 };

	if (usage_read_cells(usage, add_cell, &sum, &e) < 0)
		say(false, "read cells", e.text);
	return sum;
}

static void compare(const char *name, uint64_t bytes, uint64_t touched)
{
	char detail[120];

	(void)snprintf(detail, sizeof(detail), "%" PRIu64 " bytes of %" PRIu64 " touched", bytes,
		       touched);
	say(bytes >= touched && bytes <= touched * AROUND_MAX, name, detail);
}

static int add_file(const struct usage_file *file, void *user)
{
	struct sum *sum = user;

	if (!file->is_reader && file->mount_id == sum->owner)
		sum->mapped += file->mapped_bytes;
	return 0;
}

static uint64_t take_files(uint64_t owner)
{
	cleanup(usage_files_free) struct usage_taken *taken = NULL;
	struct sum sum = { .owner = owner };
	struct error e = { 0 };
	int code = usage_files_put_aside(usage, &e);

	if (code == 0)
		code = usage_files_take(usage, &taken, &e);
	if (code == 0 && taken)
		code = usage_files_read(taken, add_file, &sum, &e);
	if (code == 0 && taken)
		code = usage_files_drop(usage, taken, &e);
	if (code < 0)
		say(false, "read files", e.text);
	return sum.mapped;
}

/* ---- layers ---- */

static bool make_file(const char *directory, const char *name)
{
	static char page[65536];
	char path[400];
	bool made = true;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	cleanup(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	memset(page, 'x', sizeof(page));
	for (uint64_t at = 0; made && at < FILE_PAGES * page_size; at += sizeof(page))
		made = write(fd, page, sizeof(page)) == (ssize_t)sizeof(page);
	return made;
}

static bool watch(struct mounted *m)
{
	cleanup(close_fd) int fd = open(m->fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error e = { 0 };

	m->owner = ++last_owner | USAGE_LAYER_OWNER;
	if (usage_layers_identify(fd, &m->root, &e) == 0 &&
	    usage_layers_watch(usage, &m->root, m->layer.text, &m->owner, &e) == 0)
		return true;
	say(false, "watch a layer", e.text);
	return false;
}

static bool set_up(struct check *store, struct mounted *m, bool watched)
{
	char options[900];

	m->layer = add_layer(store);
	m->owner = 0;
	(void)snprintf(m->fs, sizeof(m->fs), "%s/layers/%s/fs", store->path, m->layer.text);
	(void)snprintf(m->path, sizeof(m->path), "%s/at-%s", store->path, m->layer.text);
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s/empty", m->fs, store->path);
	if (!make_file(m->fs, "data") || mkdir(m->path, 0755) < 0 ||
	    mount("overlay", m->path, "overlay", 0, options) < 0) {
		say(false, "mount a layer", strerror(errno));
		return false;
	}
	return !watched || watch(m);
}

/* ---- accesses ---- */

/* NULL when it cannot be mapped. */
static volatile char *map_file(const char *directory)
{
	char path[400];
	void *map;

	(void)snprintf(path, sizeof(path), "%s/data", directory);
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, FILE_PAGES * page_size, PROT_READ, MAP_PRIVATE, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

static void unmap_file(volatile char *map)
{
	(void)munmap((void *)map, FILE_PAGES * page_size);
}

static bool touch(volatile const char *map)
{
	bool all = map != NULL;

	for (uint64_t page = 0; all && page < FILE_PAGES; page += TOUCH_EVERY)
		all = map[page * page_size] == 'x';
	return all;
}

static bool map_and_touch(const char *directory)
{
	volatile char *map = map_file(directory);
	bool touched = touch(map);

	if (map)
		unmap_file(map);
	return touched;
}

/* ---- checks ---- */

static void check_watched(struct check *store)
{
	uint64_t counted, of_file;
	struct mounted m;
	char detail[80];

	if (!set_up(store, &m, true))
		return;
	(void)take_files(m.owner);
	say(map_and_touch(m.path), "touch a mapped file", strerror(errno));
	counted = read_sum(m.owner).mapped;
	compare("a mapped file counts what is mapped in", counted, TOUCHED * page_size);
	of_file = take_files(m.owner);
	(void)snprintf(detail, sizeof(detail), "%" PRIu64 " instead of %" PRIu64, of_file, counted);
	say(of_file == counted, "the file has the bytes of its layer", detail);
	say(read_sum(m.owner).mapped_as_upper == 0, "a lower is credited as a lower",
	    "it is as an upper");
	(void)map_and_touch(m.path);
	compare("another mapping of it is counted, too", read_sum(m.owner).mapped - counted,
		TOUCHED * page_size);
	(void)umount(m.path);
}

/* The layer is the upper of an overlay, and the file is in it. */
static void check_upper(struct check *store)
{
	struct mounted m;
	char options[900];
	struct sum sum;

	if (!set_up(store, &m, true))
		return;
	(void)umount(m.path);
	(void)snprintf(options, sizeof(options), "lowerdir=%s/empty,upperdir=%s,workdir=%s/../work",
		       store->path, m.fs, m.fs);
	say(mount("overlay", m.path, "overlay", 0, options) == 0 && map_and_touch(m.path),
	    "touch a mapped file of an upper", strerror(errno));
	sum = read_sum(m.owner);
	compare("an upper is credited as an upper", sum.mapped_as_upper, TOUCHED * page_size);
	say(sum.mapped == sum.mapped_as_upper, "and not as a lower", "it is");
	(void)umount(m.path);
}

static void check_foreign(struct check *store)
{
	struct mounted ours, foreign;
	uint64_t before;

	if (!set_up(store, &ours, true) || !set_up(store, &foreign, false))
		return;
	(void)map_and_touch(ours.path);
	before = read_sum(0).mapped;
	say(map_and_touch(foreign.path) && map_and_touch(foreign.fs) &&
		    read_sum(0).mapped == before,
	    "files of others are not credited", "they were");
	(void)umount(foreign.path);
	(void)umount(ours.path);
}

/* The file is mapped through an overlay, and touched when the layer is watched no more. */
static void check_forgotten(struct check *store)
{
	struct mounted m;
	volatile char *map;
	uint64_t before;

	if (!set_up(store, &m, true))
		return;
	map = map_file(m.path);
	before = read_sum(0).mapped;
	usage_layers_unwatch(usage, &m.root, m.owner);
	say(touch(map) && read_sum(0).mapped == before,
	    "a layer that is forgotten is credited with nothing", "it was");
	unmap_file(map);
	(void)umount(m.path);
}

/* An inode number that returns has another generation: here the one that was noted differs. */
static void check_generation(struct check *store)
{
	struct mounted m;
	struct usage_root file = { 0 };
	struct usage_mapped mapped;
	volatile char *map;
	char path[400];
	bool renumbered;
	uint64_t before;

	if (!set_up(store, &m, true))
		return;
	map = map_file(m.path);
	(void)snprintf(path, sizeof(path), "%s/data", m.fs);
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	renumbered = usage_layers_identify(fd, &file, NULL) == 0 &&
		     bpf_map_lookup_elem(usage->maps.mapped_files, &file, &mapped) == 0 &&
		     bpf_map_delete_elem(usage->maps.mapped_files, &file) == 0;
	file.generation++;
	renumbered = renumbered &&
		     bpf_map_update_elem(usage->maps.mapped_files, &file, &mapped, BPF_ANY) == 0;
	before = read_sum(0).mapped;
	say(renumbered && touch(map) && read_sum(0).mapped == before,
	    "an inode number of another generation is not credited",
	    renumbered ? "it was" : "the file was not noted");
	unmap_file(map);
	(void)umount(m.path);
}

static bool register_mount(const struct mounted *m, uint64_t id)
{
	cleanup(close_fd) int root = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(close_fd) int identity = open(m->fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error e = { 0 };

	if (usage_bpf_register(usage, id, root, identity, false, 3, &e) == 0)
		return true;
	say(false, "register a mount", e.text);
	return false;
}

static void check_registered(struct check *store)
{
	struct mounted m;
	volatile char *map;

	if (!set_up(store, &m, true) || !register_mount(&m, MOUNT_ID))
		return;
	map = map_file(m.path);
	(void)touch(map);
	compare("a registered mount is credited", read_sum(MOUNT_ID).mapped, TOUCHED * page_size);
	unmap_file(map);
	map = map_file(m.path);
	usage_bpf_retire(usage, MOUNT_ID);
	usage_bpf_forget(usage, MOUNT_ID);
	(void)touch(map);
	compare("when it is forgotten, the layer is", read_sum(m.owner).mapped,
		TOUCHED * page_size);
	say(read_sum(MOUNT_ID).mapped == 0, "and the forgotten mount is not", "it was");
	unmap_file(map);
	(void)umount(m.path);
}

/* Of two files, one of whose layers is watched no more, the other one stays. */
static void check_sweep(struct check *store)
{
	struct mounted stays, goes;
	struct usage_root file, found;
	struct usage_mapped mapped;
	volatile char *map;
	size_t others = 0;
	uint64_t before;
	char path[400];

	if (!set_up(store, &stays, true) || !set_up(store, &goes, true))
		return;
	(void)map_and_touch(goes.path);
	map = map_file(stays.path);
	usage_layers_unwatch(usage, &goes.root, goes.owner);
	usage->mapped_swept_boot_ns = INT64_MIN / 2;
	usage_mapped_sweep(usage);
	(void)snprintf(path, sizeof(path), "%s/data", goes.fs);
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	say(usage_layers_identify(fd, &file, NULL) == 0 &&
		    bpf_map_lookup_elem(usage->maps.mapped_files, &file, &mapped) < 0,
	    "files of a forgotten layer are taken out", "they stay");
	for (const struct usage_root *key = NULL;
	     bpf_map_get_next_key(usage->maps.mapped_files, key, &found) == 0;
	     file = found, key = &file)
		others++;
	say(others > 0, "the others stay", "they were taken out");
	before = read_sum(stays.owner).mapped;
	(void)touch(map);
	compare("and are counted", read_sum(stays.owner).mapped - before, TOUCHED * page_size);
	unmap_file(map);
	(void)umount(stays.path);
	(void)umount(goes.path);
}

static void age_uses(uint64_t owner)
{
	struct usage_use_key key = { 0 }, next;
	bool more = bpf_map_get_next_key(usage->maps.layer_uses, NULL, &next) == 0;
	uint64_t long_ago = (uint64_t)clock_boot_ns() - USAGE_USE_EVERY_NS - 1;

	while (more) {
		key = next;
		more = bpf_map_get_next_key(usage->maps.layer_uses, &key, &next) == 0;
		if (key.owner == owner)
			(void)bpf_map_update_elem(usage->maps.layer_uses, &key, &long_ago,
						  BPF_EXIST);
	}
}

/* Faults until another use is counted: times are as coarse as a tick. */
static bool fault_until_use(uint64_t owner, volatile char *map, uint64_t uses)
{
	for (int i = 0; i < 100000; i++) {
		if (!touch(map) || madvise((void *)map, FILE_PAGES * page_size, MADV_DONTNEED) < 0)
			return false;
		if (read_sum(owner).uses > uses)
			return true;
	}
	return false;
}

/* The last use seems to be more than an hour ago, in which the mapping stayed. */
static void check_later_use(struct check *store)
{
	struct mounted m;
	volatile char *map;
	uint64_t uses;

	if (!set_up(store, &m, true))
		return;
	map = map_file(m.path);
	uses = read_sum(m.owner).uses;
	age_uses(m.owner);
	say(uses == 1 && fault_until_use(m.owner, map, uses) && read_sum(m.owner).uses == 2,
	    "a fault in a later hour is a use", "it was not");
	unmap_file(map);
	(void)umount(m.path);
}

static bool execute(const char *path)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		(void)execl(path, path, "exit", NULL);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void check_program(struct check *store)
{
	struct mounted m;
	char path[400], command[900];
	uint64_t mapped;

	if (!set_up(store, &m, true))
		return;
	(void)snprintf(path, sizeof(path), "%s/program", m.fs);
	(void)snprintf(command, sizeof(command), "cp /proc/%d/exe '%s'", (int)getpid(), path);
	say(system(command) == 0, "copy the program", strerror(errno));
	(void)umount(m.path);
	(void)snprintf(command, sizeof(command), "lowerdir=%s:%s/empty", m.fs, store->path);
	if (mount("overlay", m.path, "overlay", 0, command) < 0)
		say(false, "mount a layer", strerror(errno));
	(void)snprintf(path, sizeof(path), "%s/program", m.path);
	say(execute(path), "execute the program", strerror(errno));
	mapped = read_sum(m.owner).mapped;
	say(mapped >= page_size, "a program that runs has bytes mapped in", "it has none");
	(void)umount(m.path);
}

/* ---- main ---- */

static int run_checks(const char *directory)
{
	struct check store;
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/store", directory);
	if (!make_store(path, &store)) {
		say(false, "make a store", strerror(errno));
		return 1;
	}
	check_watched(&store);
	check_upper(&store);
	check_foreign(&store);
	check_forgotten(&store);
	check_generation(&store);
	check_registered(&store);
	check_sweep(&store);
	check_later_use(&store);
	check_program(&store);
	return failures > 0;
}

static bool read_arguments(int argc, char **argv, struct usage_bpf_options *options)
{
	if (argc == 4 && strcmp(argv[1], "--backend") == 0) {
		options->forced = true;
		options->wanted = strcmp(argv[2], "overlay") == 0 ? USAGE_BACKEND_OVERLAY
								  : USAGE_BACKEND_SYSCALL;
	}
	return argc == 2 || options->forced;
}

int main(int argc, char **argv)
{
	struct usage_bpf_options options = { .pin_dir = PIN_DIR };
	struct error e = { 0 };
	int status;

	if (argc == 2 && strcmp(argv[1], "exit") == 0)
		return 0;
	if (!read_arguments(argc, argv, &options)) {
		fprintf(stderr, "usage: mapped_probe [--backend overlay|syscall] DIR\n");
		return 2;
	}
	page_size = (uint64_t)getpagesize();
	(void)usage_bpf_unpin(PIN_DIR, NULL); /* of a run that was killed */
	if (usage_bpf_open(&options, &usage, &e) < 0) {
		fprintf(stderr, "mapped_probe: %s\n", e.text);
		return 1;
	}
	if (usage_bpf_backend(usage) == USAGE_BACKEND_NONE) {
		printf("skip %s: %s\n", usage_backend_name(options.wanted),
		       usage_bpf_refusal(usage, options.wanted));
		status = 77;
	} else if (!usage_sees(usage, USAGE_MAPPED_BYTES)) {
		printf("ok this kernel shows no faults to the backend\n");
		status = 0;
	} else {
		status = run_checks(argv[argc - 1]);
	}
	usage_bpf_close(usage);
	(void)usage_bpf_unpin(PIN_DIR, NULL);
	return status;
}
