/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage_probe [--backend overlay|syscall] DIR: mounts overlays from layers that it makes in DIR,
 * accesses their files in every way, and compares what the BPF programs counted with what happened,
 * number by number. Prints `ok NAME` or `FAIL NAME: …` for each check.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "overlay/overlay_mount.h"
#include "overlay/overlay_probe.h"
#include "tests/lib/check_store.h"
#include "tests/lib/probe_operations.h"
#include "usage/usage_bpf.h"
#include "usage/usage_layers.h"
#include "usage/usage_reader.h"

#define PIN_DIR "/sys/fs/bpf/varve-usage-probe/v1"
#define LAYERS 3 /* upper, and two lowers */
#ifdef __aarch64__
#define READ_INSTRUCTIONS_MAX 500 /* 497 on 6.12 */
#else
#define READ_INSTRUCTIONS_MAX 400 /* 363 on 6.1, 400 on 6.12 */
#endif
#define ANY UINT64_MAX
#define SOME (UINT64_MAX - 1) /* one or more */

static struct usage_bpf *usage;
static enum usage_backend backend;
static unsigned int failures;
static uint64_t last_mount_id = 1000;

static const char *const counter_names[USAGE_COUNTER_COUNT] = {
	"opens",	   "execs",	    "reads",	  "read bytes",	  "writes",
	"written bytes",   "mmaps",	    "stats",	  "readlinks",	  "copy-ups",
	"copied-up bytes", "upper changes", "read opens", "mapped bytes",
};

static void say(bool ok, const char *name, const char *detail)
{
	printf("%s %s%s%s\n", ok ? "ok" : "FAIL", name, ok || !*detail ? "" : ": ",
	       ok ? "" : detail);
	failures += !ok;
}

struct totals {
	uint64_t mount_id;
	uint64_t counters[LAYERS][USAGE_COUNTER_COUNT];
	uint64_t uses;
};

static void add_cell(const struct usage_cell *cell, struct totals *t)
{
	if (cell->owner != t->mount_id || cell->layer >= LAYERS)
		return;
	for (int i = 0; i < USAGE_COUNTER_COUNT; i++)
		t->counters[cell->layer][i] += cell->totals.counters[i];
	t->uses += cell->totals.uses;
}

/* Each cell as it was when something of it had changed last. */
static struct usage_cell known[1024];
static size_t known_count;

static int note_cell(const struct usage_cell *cell, void *user)
{
	size_t i = 0;

	(void)user;
	while (i < known_count && (known[i].owner != cell->owner || known[i].layer != cell->layer ||
				   known[i].upkeep != cell->upkeep))
		i++;
	if (i == ARRAY_SIZE(known))
		return -ENOSPC;
	known[i] = *cell;
	if (i == known_count)
		known_count++;
	return 0;
}

/* Reads what has changed only, so that each check shows that the change of its cells is noticed. */
static struct totals read_totals(uint64_t mount_id)
{
	struct totals t = { .mount_id = mount_id };
	struct error e = { 0 };

	if (usage_read_changed_cells(usage, note_cell, NULL, &e) < 0)
		say(false, "read cells", e.text);
	for (size_t i = 0; i < known_count; i++)
		add_cell(&known[i], &t);
	return t;
}

/* What an operation must add: {layer, counter, number}; a number of 0 ends the list. */
struct expected {
	unsigned int layer;
	enum usage_counter counter;
	uint64_t number;
};

#define EXPECTED_MAX 12

static void compare(const char *name, const struct totals *before, const struct totals *after,
		    const struct expected *expected)
{
	uint64_t wanted[LAYERS][USAGE_COUNTER_COUNT] = { 0 };
	uint32_t unseen = usage_unseen_counters(usage);
	char detail[400] = "";
	bool ok = true;

	for (const struct expected *x = expected; x->number; x++)
		wanted[x->layer][x->counter] = x->number;
	for (unsigned int l = 0; l < LAYERS; l++)
		for (int c = 0; c < USAGE_COUNTER_COUNT; c++) {
			uint64_t found = after->counters[l][c] - before->counters[l][c];
			uint64_t want = wanted[l][c];
			size_t used = strlen(detail);

			/* A file of a lower is not opened otherwise than for reading. */
			if (c == USAGE_READ_OPENS)
				want = l > 0 ? wanted[l][USAGE_OPENS] : ANY;
			/* A change may be counted several times, but not never. */
			if (c == USAGE_UPPER_CHANGES && want)
				want = SOME;
			if (unseen >> c & 1 || want == ANY || found == want ||
			    (want == SOME && found > 0))
				continue;
			ok = false;
			(void)snprintf(detail + used, sizeof(detail) - used,
				       "%slayer %u %s %" PRIu64 " instead of %" PRIu64,
				       used ? ", " : "", l, counter_names[c], found, want);
		}
	say(ok, name, detail);
}

/* Mounts the three layers of this file, and registers the mount. */
struct fixture {
	struct check store;
	char store_path[300];
	uint64_t mount_id;
	int root;
	char path[256];
};

static void fill(const char *directory, const char *name, size_t length)
{
	cleanup(close_fd) int at = open(directory, O_PATH | O_CLOEXEC);
	cleanup(close_fd) int fd = openat(at, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, 0) < 0 || write(fd, probe_bytes, length) != (ssize_t)length)
		say(false, "make files", name);
}

static void copy_program(const char *directory)
{
	char to[400], command[800], self[300];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length > 0 ? length : 0] = '\0';
	(void)snprintf(to, sizeof(to), "%s/program", directory);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s'", self, to);
	if (system(command) != 0)
		say(false, "copy the program", to);
}

static void fill_layers(const char *lower_2, const char *lower_1, const char *upper)
{
	static const char *const in_2[] = { "a",    "copied-up", "truncated",  "renamed",
					    "sent", "spliced",	 "cfr-source", "meta" };
	char path[400];

	for (size_t i = 0; i < ARRAY_SIZE(in_2); i++)
		fill(lower_2, in_2[i], 4096);
	fill(lower_1, "b", 600);
	fill(upper, "u", 300);
	fill(upper, "v", 300);
	copy_program(lower_2);
	(void)snprintf(path, sizeof(path), "%s/link", lower_2);
	if (symlink("a", path) < 0)
		say(false, "make files", "link");
	(void)snprintf(path, sizeof(path), "%s/sub", lower_2);
	if (mkdir(path, 0755) < 0)
		say(false, "make files", "sub");
	fill(path, "c", 200);
}

static void layer_path(const struct fixture *f, const char *layer, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/layers/%s/fs", f->store.path, layer);
}

static int register_mount(struct fixture *f, const char *first_layer, bool writable,
			  struct error *e)
{
	cleanup(close_fd) int identity = -EBADF;
	char path[300];

	layer_path(f, first_layer, path, sizeof(path));
	identity = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->mount_id = ++last_mount_id;
	return usage_bpf_register(usage, f->mount_id, f->root, identity, writable, LAYERS, e);
}

static int attach(struct fixture *f, const char *name, struct error *e)
{
	cleanup(close_fd) int mounts = openat(f->store.store, "mounts", O_PATH | O_CLOEXEC);

	if (mkdirat(mounts, name, 0755) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make a mount point: %s", strerror(errno));
	(void)snprintf(f->path, sizeof(f->path), "%s/mounts/%s", f->store.path, name);
	return overlay_mount_attach(f->root, mounts, name, e);
}

static bool set_up(struct fixture *f, const char *directory)
{
	struct error e = { 0 };
	char path[300], lower_1[300], upper_path[300];
	struct layer_name upper, first, second;
	int code;

	(void)snprintf(f->store_path, sizeof(f->store_path), "%s/store", directory);
	if (!make_store(f->store_path, &f->store)) {
		say(false, "make a store", strerror(errno));
		return false;
	}
	code = overlay_probe(f->store.store, &f->store.features, &e);
	upper = add_layer(&f->store);
	first = add_layer(&f->store);
	second = add_layer(&f->store);
	layer_path(f, second.text, path, sizeof(path));
	layer_path(f, first.text, lower_1, sizeof(lower_1));
	layer_path(f, upper.text, upper_path, sizeof(upper_path));
	fill_layers(path, lower_1, upper_path);

	struct overlay_spec spec = { .lowers = (const char *[]){ first.text, second.text },
				     .lower_count = 2,
				     .upper = upper.text };
	if (code == 0)
		code = overlay_mount_create(f->store.store, &f->store.features, &spec, &f->root,
					    &e);
	if (code == 0)
		code = register_mount(f, upper.text, true, &e);
	if (code == 0)
		code = attach(f, "main", &e);
	if (code < 0)
		say(false, "mount", e.text);
	return code == 0;
}

struct operation {
	const char *name;
	bool (*run)(const char *path, const char *other);
	const char *path, *other;
	struct expected overlay[EXPECTED_MAX]; /* ended by number 0 */
	struct expected syscall[EXPECTED_MAX]; /* empty: the same as overlay */
};

#define OPENED(layer)                 \
	{                             \
		layer, USAGE_OPENS, 1 \
	}
#define READ(layer, calls, bytes)              \
	{ layer, USAGE_READS, calls },         \
	{                                      \
		layer, USAGE_READ_BYTES, bytes \
	}
#define WRITTEN(calls, bytes)                                          \
	{ 0, USAGE_WRITES, calls }, { 0, USAGE_WRITTEN_BYTES, bytes }, \
	{                                                              \
		0, USAGE_UPPER_CHANGES, 1                              \
	}
#define CHANGED                           \
	{                                 \
		0, USAGE_UPPER_CHANGES, 1 \
	}
#define COPIED_UP(bytes)                        \
	{ 2, USAGE_COPY_UPS, 1 },               \
	{                                       \
		2, USAGE_COPIED_UP_BYTES, bytes \
	}

static const struct operation operations[] = {
	{ "open", op_open, "a", NULL, { OPENED(2) }, { { 0 } } },
	{ "openat2", op_openat2, "b", NULL, { OPENED(1) }, { { 0 } } },
	{ "O_PATH counts as nothing", op_opath, "a", NULL, { { 0 } }, { { 0 } } },
	{ "read", op_cat, "a", NULL, { OPENED(2), READ(2, 2, 4096) }, { { 0 } } },
	{ "read of the middle layer",
	  op_cat,
	  "b",
	  NULL,
	  { OPENED(1), READ(1, 2, 600) },
	  { { 0 } } },
	{ "read of the upper", op_cat, "u", NULL, { OPENED(0), READ(0, 2, 300) }, { { 0 } } },
	{ "pread", op_pread, "a", NULL, { OPENED(2), READ(2, 1, 100) }, { { 0 } } },
	{ "readv", op_readv, "a", NULL, { OPENED(2), READ(2, 1, 30) }, { { 0 } } },
	{ "preadv2", op_preadv2, "a", NULL, { OPENED(2), READ(2, 1, 50) }, { { 0 } } },
	{ "read of a duplicate", op_dup_read, "a", NULL, { OPENED(2), READ(2, 1, 10) }, { { 0 } } },
	{ "io_uring", op_uring_read, "a", NULL, { OPENED(2), READ(2, 1, 77) }, { { 0 } } },
	{ "openat2 by io_uring", op_uring_openat2, "a", NULL, { OPENED(2) }, { { 0 } } },
	{ "io_uring: a slot is not the descriptor of the same number",
	  op_uring_direct,
	  "a",
	  "b",
	  { OPENED(1), { 2, USAGE_OPENS, 2 }, READ(2, 1, 77) },
	  { { 0 } } },
	{ "splice by io_uring",
	  op_uring_splice,
	  "a",
	  NULL,
	  { OPENED(2), READ(2, SOME, 1100) },
	  { { 0 } } },
	{ "mmap", op_mmap, "a", NULL, { OPENED(2), { 2, USAGE_MMAPS, 1 } }, { { 0 } } },
	{ "stat", op_stat, "a", NULL, { { 2, USAGE_STATS, 1 } }, { { 0 } } },
	{ "readlink", op_readlink, "link", NULL, { { 2, USAGE_READLINKS, 1 } }, { { 0 } } },
	{ "exec",
	  op_exec,
	  "program",
	  NULL,
	  { OPENED(2), { 2, USAGE_EXECS, 1 }, READ(2, SOME, SOME), { 2, USAGE_MMAPS, SOME } },
	  { OPENED(2), { 2, USAGE_EXECS, 1 } } },
	{ "creat and write",
	  op_creat_write,
	  "new",
	  NULL,
	  { OPENED(0), WRITTEN(1, 1000), { 0, USAGE_STATS, ANY } },
	  { { 0 } } },
	{ "pwrite", op_pwrite, "u", NULL, { OPENED(0), WRITTEN(1, 5) }, { { 0 } } },
	{ "write with copy-up",
	  op_pwrite,
	  "copied-up",
	  NULL,
	  { OPENED(0), WRITTEN(1, 5), COPIED_UP(4096) },
	  { { 0 } } },
	{ "a second write copies nothing up",
	  op_pwrite,
	  "copied-up",
	  NULL,
	  { OPENED(0), WRITTEN(1, 5) },
	  { { 0 } } },
	{ "sendfile",
	  op_sendfile,
	  "sent",
	  "sent-to",
	  { { 2, USAGE_OPENS, 1 }, READ(2, SOME, 1000), OPENED(0), WRITTEN(SOME, 1000) },
	  { { 0 } } },
	{ "splice",
	  op_splice,
	  "spliced",
	  "spliced-to",
	  { { 2, USAGE_OPENS, 1 }, READ(2, SOME, 1000), OPENED(0), WRITTEN(SOME, 1000) },
	  { { 0 } } },
	{ "copy_file_range",
	  op_copy_file_range,
	  "cfr-source",
	  "cfr-to",
	  { { 2, USAGE_OPENS, 1 }, READ(2, SOME, 1000), OPENED(0), WRITTEN(SOME, 1000) },
	  { { 0 } } },
	{ "truncate of the upper", op_truncate, "v", NULL, { CHANGED }, { { 0 } } },
	{ "ftruncate", op_ftruncate, "v", NULL, { OPENED(0), CHANGED }, { { 0 } } },
	{ "truncate with copy-up",
	  op_truncate,
	  "truncated",
	  NULL,
	  { CHANGED, { 2, USAGE_COPY_UPS, 1 }, { 2, USAGE_COPIED_UP_BYTES, ANY } },
	  { CHANGED } },
	{ "rename with copy-up",
	  op_rename,
	  "renamed",
	  "renamed-to",
	  { CHANGED, COPIED_UP(4096) },
	  { CHANGED } },
	{ "mkdir", op_mkdir, "directory", NULL, { CHANGED }, { { 0 } } },
	{ "unlink", op_unlink, "new", NULL, { CHANGED }, { { 0 } } },
};

/* The process is inside of the mount, because a change by path is attributed by that. */
static void run_operation(const struct fixture *f, const struct operation *o)
{
	const struct expected *expected = o->overlay;
	struct totals before = read_totals(f->mount_id), after;
	bool done;

	if (backend == USAGE_BACKEND_SYSCALL && o->syscall[0].number)
		expected = o->syscall;
	done = fchdir(f->root) == 0 && o->run(o->path, o->other);
	after = read_totals(f->mount_id);
	if (chdir("/") < 0 || !done)
		say(false, o->name, strerror(errno));
	else
		compare(o->name, &before, &after, expected);
}

/* For an absolute path from outside the syscall backend only knows that some upper has changed. */
static void check_outside_changes(const struct fixture *f)
{
	struct totals before = read_totals(f->mount_id), after;
	uint64_t unplaced = usage_read_unplaced_changes(usage);
	char path[300];
	bool noticed;

	(void)snprintf(path, sizeof(path), "%s/from-outside", f->path);
	(void)op_mkdir(path, NULL);
	after = read_totals(f->mount_id);
	noticed = usage_read_unplaced_changes(usage) > unplaced ||
		  after.counters[0][USAGE_UPPER_CHANGES] > before.counters[0][USAGE_UPPER_CHANGES];
	say(noticed, "a change by an absolute path is noticed", "it was not");
	unplaced = usage_read_unplaced_changes(usage);
	(void)op_mkdir("/tmp/usage-probe-elsewhere", NULL);
	(void)rmdir("/tmp/usage-probe-elsewhere");
	say(usage_read_unplaced_changes(usage) == unplaced, "a change elsewhere is none of ours",
	    "it was counted");
}

static const struct expected one_cat_of_a[] = { OPENED(2), READ(2, 2, 4096), { 0 } };
static const struct expected nothing[] = { { 0 } };

/* Runs the access in a child process, which can change its root, directory and namespaces. */
static bool in_child(bool (*work)(const struct fixture *f), const struct fixture *f)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(work(f) ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static char mount_prefix[300];

/* With another root directory, in which a folder has the name of that of the mounts. */
static bool change_in_other_root(const struct fixture *f)
{
	char root[320], path[300], deep[700];

	(void)snprintf(root, sizeof(root), "%s/root", f->store.path);
	if (mkdir(root, 0755) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s", mount_prefix);
	for (char *c = path + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		(void)snprintf(deep, sizeof(deep), "%s%s", root, path);
		*c = '/';
		if (mkdir(deep, 0755) < 0)
			return false;
	}
	(void)snprintf(deep, sizeof(deep), "%sx", mount_prefix);
	return chroot(root) == 0 && mkdir(deep, 0755) == 0;
}

static bool change_by_ring(const struct fixture *f)
{
	return fchdir(f->root) == 0 && op_uring_mkdir("by-ring", NULL);
}

static bool change_by_ring_elsewhere(const struct fixture *f)
{
	(void)f;
	return setfsuid(65534) >= 0 && op_uring_mkdir("/tmp/usage-probe-elsewhere", NULL) &&
	       rmdir("/tmp/usage-probe-elsewhere") == 0;
}

/* What other processes do must not make the agent measure all uppers again. */
static void check_strangers(const struct fixture *f)
{
	char up[600];
	uint64_t unplaced = usage_read_unplaced_changes(usage);
	struct totals before = read_totals(f->mount_id), after;

	(void)snprintf(up, sizeof(up), "%s../usage-probe-up", mount_prefix);
	say(op_mkdir(up, NULL) && rmdir(up) == 0 && in_child(change_in_other_root, f) &&
		    in_child(change_by_ring_elsewhere, f) &&
		    usage_read_unplaced_changes(usage) == unplaced,
	    "changes that cannot be in a mount leave all uppers alone", "they did not");
	say(in_child(change_by_ring, f) && usage_read_unplaced_changes(usage) == unplaced,
	    "a change by io_uring is placed", "it is not");
	after = read_totals(f->mount_id);
	say(after.counters[0][USAGE_UPPER_CHANGES] > before.counters[0][USAGE_UPPER_CHANGES],
	    "a change by io_uring is noticed", "it was not");
}

static bool read_in_chroot(const struct fixture *f)
{
	return chroot(f->path) == 0 && chdir("/") == 0 && op_cat("/a", NULL);
}

static bool read_in_namespace(const struct fixture *f)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/a", f->path);
	return unshare(CLONE_NEWNS) == 0 && op_cat(path, NULL);
}

static bool read_through_bind(const struct fixture *f)
{
	char folder[300], bind[300];

	(void)snprintf(folder, sizeof(folder), "%s/sub", f->path);
	(void)snprintf(bind, sizeof(bind), "%s/bind", f->store.path);
	if (mkdir(bind, 0755) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(folder, bind, NULL, MS_BIND, NULL) < 0 || chdir(bind) < 0)
		return false;
	return op_cat("c", NULL);
}

static bool read_elsewhere(const struct fixture *f)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/layers/%06x/fs/a", f->store.path, 3U);
	return op_cat(path, NULL) && op_open("/proc/self/status", NULL) &&
	       op_cat("/proc/self/exe", NULL);
}

static bool read_many_at_once(const struct fixture *f)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/a", f->path);
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			for (int k = 0; k < 10000; k++)
				if (!op_pread(path, NULL))
					_exit(1);
			_exit(0);
		}
	for (int i = 0; i < 4; i++) {
		int status;

		if (wait(&status) < 0 || status != 0)
			return false;
	}
	return true;
}

static void check_places(const struct fixture *f)
{
	static const struct expected sub[] = { OPENED(2), READ(2, 2, 200), { 0 } };
	static const struct expected many[] = { { 2, USAGE_OPENS, 40000 },
						READ(2, 40000, 4000000),
						{ 0 } };
	static const struct {
		const char *name;
		bool (*work)(const struct fixture *f);
		const struct expected *expected;
	} places[] = {
		{ "chroot", read_in_chroot, one_cat_of_a },
		{ "another mount namespace", read_in_namespace, one_cat_of_a },
		{ "a bind mount of a folder", read_through_bind, sub },
		{ "other file systems", read_elsewhere, nothing },
		{ "four processes at once", read_many_at_once, many },
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct totals before = read_totals(f->mount_id), after;

		if (!in_child(places[i].work, f)) {
			say(false, places[i].name, "the access failed");
			continue;
		}
		after = read_totals(f->mount_id);
		compare(places[i].name, &before, &after, places[i].expected);
	}
}

static bool same_path(char *path, size_t size, const struct fixture *f, const char *name)
{
	return snprintf(path, size, "%s/%s", f->path, name) > 0;
}

/* An overlay on top of a registered mount: the file's layer must still be found. */
static void check_stacked(const struct fixture *f)
{
	struct totals before = read_totals(f->mount_id), after;
	char options[600], path[300];

	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s/empty", f->path, f->store.path);
	if (mkdir("/tmp/usage-probe-stacked", 0755) < 0 && errno != EEXIST)
		say(false, "stacked overlay", strerror(errno));
	if (mount("overlay", "/tmp/usage-probe-stacked", "overlay", MS_RDONLY, options) < 0) {
		say(false, "stacked overlay", strerror(errno));
		return;
	}
	(void)snprintf(path, sizeof(path), "/tmp/usage-probe-stacked/a");
	if (!op_cat(path, NULL))
		say(false, "stacked overlay", strerror(errno));
	after = read_totals(f->mount_id);
	(void)umount("/tmp/usage-probe-stacked");
	(void)rmdir("/tmp/usage-probe-stacked");
	static const struct expected inner[] = {
		OPENED(2), READ(2, ANY, 4096), { 2, USAGE_STATS, ANY }, { 0 }
	};
	compare("stacked overlay", &before, &after, inner);
}

/* With metacopy=on a chmod copies up everything but the data. */
static void check_metacopy(struct fixture *f)
{
	static const struct expected data_in_lower[] = { OPENED(2), READ(2, 2, 4096), { 0 } };
	struct fixture meta = { .store = f->store };
	char options[1000], path[300];
	struct layer_name upper = add_layer(&f->store);
	struct totals before, after;
	struct error e = { 0 };

	(void)snprintf(options, sizeof(options),
		       "lowerdir=%s/layers/%06x/fs:%s/layers/%06x/fs,upperdir=%s/layers/%s/fs,"
		       "workdir=%s/layers/%s/work,metacopy=on",
		       f->store.path, 2U, f->store.path, 3U, f->store.path, upper.text,
		       f->store.path, upper.text);
	(void)snprintf(meta.path, sizeof(meta.path), "%s/mounts/meta", f->store.path);
	if (mkdir(meta.path, 0755) < 0 || mount("overlay", meta.path, "overlay", 0, options) < 0) {
		say(false, "metacopy", strerror(errno));
		return;
	}
	meta.root = open(meta.path, O_PATH | O_CLOEXEC);
	if (register_mount(&meta, upper.text, true, &e) < 0)
		say(false, "metacopy", e.text);
	(void)same_path(path, sizeof(path), &meta, "meta");
	if (chmod(path, 0600) < 0)
		say(false, "metacopy", strerror(errno));
	before = read_totals(meta.mount_id);
	(void)op_cat(path, NULL);
	after = read_totals(meta.mount_id);
	compare("metacopy: the data is the lower's", &before, &after, data_in_lower);
	(void)close(meta.root);
	(void)umount(meta.path);
	usage_bpf_retire(usage, meta.mount_id);
	usage_bpf_forget(usage, meta.mount_id);
}

#define FOREIGN_BYTES 6 /* of the file that add_layer() makes */

/* A layer that is watched, and an overlay of it that is not registered. */
struct foreign {
	struct layer_name layer;
	struct usage_root root;
	uint64_t owner;
	char path[300]; /* of the mount */
};

static bool watch(const struct fixture *f, struct foreign *foreign, bool another_generation)
{
	cleanup(close_fd) int fd = -EBADF;
	struct error e = { 0 };
	char path[300];

	layer_path(f, foreign->layer.text, path, sizeof(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	foreign->owner = ++last_mount_id | USAGE_LAYER_OWNER;
	if (usage_layers_identify(fd, &foreign->root, &e) < 0) {
		say(false, "identify a layer", e.text);
		return false;
	}
	foreign->root.generation += another_generation;
	if (usage_layers_watch(usage, &foreign->root, foreign->layer.text, &foreign->owner, &e) ==
	    0)
		return true;
	say(false, "watch a layer", e.text);
	return false;
}

/* With the layer as a lower, or as the upper. */
static bool mount_foreign(const struct fixture *f, struct foreign *foreign, bool as_upper)
{
	char options[900], path[300];

	layer_path(f, foreign->layer.text, path, sizeof(path));
	(void)snprintf(foreign->path, sizeof(foreign->path), "%s/foreign", f->store.path);
	if (as_upper)
		(void)snprintf(options, sizeof(options),
			       "lowerdir=%s/empty,upperdir=%s,workdir=%s/../work", f->store.path,
			       path, path);
	else
		(void)snprintf(options, sizeof(options), "lowerdir=%s:%s/empty", path,
			       f->store.path);
	if (mkdir(foreign->path, 0755) < 0 && errno != EEXIST)
		return false;
	return mount("overlay", foreign->path, "overlay", 0, options) == 0;
}

static bool read_foreign(const struct foreign *foreign)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/%s", foreign->path, foreign->layer.text);
	return op_cat(path, NULL);
}

static void compare_foreign(const char *name, const struct foreign *foreign, unsigned int layer,
			    bool counts)
{
	struct totals before = { .mount_id = foreign->owner };
	struct totals after = read_totals(foreign->owner);
	const struct expected read[] = {
		OPENED(layer), READ(layer, ANY, FOREIGN_BYTES), { layer, USAGE_STATS, ANY }, { 0 }
	};

	compare(name, &before, &after, counts ? read : nothing);
}

static void check_foreign(const struct fixture *f, const char *name, bool as_upper,
			  bool another_generation)
{
	struct foreign foreign = { .layer = add_layer((struct check *)&f->store) };

	if (!watch(f, &foreign, another_generation) || !mount_foreign(f, &foreign, as_upper) ||
	    !read_foreign(&foreign)) {
		say(false, name, strerror(errno));
		return;
	}
	compare_foreign(name, &foreign, as_upper ? USAGE_AS_UPPER : USAGE_AS_LOWER,
			!another_generation);
	usage_layers_unwatch(usage, &foreign.root, foreign.owner);
	(void)umount(foreign.path);
}

/* Uses are told apart by the mount, and what is read after the watch has ended is not. The mounts
 * lie on top of each other: before 6.8 one that is made after another has ended may be taken for
 * it. */
static void check_foreign_uses(const struct fixture *f)
{
	struct foreign foreign = { .layer = add_layer((struct check *)&f->store) };
	bool done = watch(f, &foreign, false);
	struct totals found;

	for (int i = 0; i < 3 && done; i++) {
		done = mount_foreign(f, &foreign, false) && read_foreign(&foreign) &&
		       read_foreign(&foreign);
	}
	while (umount(foreign.path) == 0)
		;
	found = read_totals(foreign.owner);
	say(done && found.uses == 3 && found.counters[USAGE_AS_LOWER][USAGE_READ_OPENS] == 6,
	    "each overlay of a layer is one use", "another number");

	usage_layers_unwatch(usage, &foreign.root, foreign.owner);
	done = mount_foreign(f, &foreign, false) && read_foreign(&foreign);
	(void)umount(foreign.path);
	found = read_totals(foreign.owner);
	say(done && found.counters[USAGE_AS_LOWER][USAGE_OPENS] <= 6,
	    "a layer that is watched no more is not counted", "it was");
}

/* What the kernel has found out about a mount ends when one of its layers is watched. */
static void check_late_watch(const struct fixture *f)
{
	struct foreign foreign = { .layer = add_layer((struct check *)&f->store) };
	bool done = mount_foreign(f, &foreign, false) && read_foreign(&foreign) &&
		    watch(f, &foreign, false) && read_foreign(&foreign);

	if (done)
		compare_foreign("a layer that is watched after it was read", &foreign,
				USAGE_AS_LOWER, true);
	else
		say(false, "a layer that is watched after it was read", strerror(errno));
	usage_layers_unwatch(usage, &foreign.root, foreign.owner);
	(void)umount(foreign.path);
}

/* In turns an overlay without and one with a watched layer, which get the same device numbers and,
 * mostly, the same memory. */
static void check_recycled_superblocks(const struct fixture *f)
{
	struct foreign turns[2] = { { .layer = add_layer((struct check *)&f->store) },
				    { .layer = add_layer((struct check *)&f->store) } };
	uint64_t rounds = 100;
	struct totals found;
	bool done = watch(f, &turns[1], false);

	for (uint64_t i = 0; i < 2 * rounds && done; i++) {
		struct foreign *turn = &turns[i % 2];

		done = mount_foreign(f, turn, false) && read_foreign(turn) && read_foreign(turn);
		(void)umount(turn->path);
	}
	found = read_totals(turns[1].owner);
	say(done && found.counters[USAGE_AS_LOWER][USAGE_OPENS] == 2 * rounds,
	    "a watched layer where a foreign overlay was before", "it was not counted exactly");
	usage_layers_unwatch(usage, &turns[1].root, turns[1].owner);
}

/* A mount that was read before the agent registered it. */
static void check_late_registration(const struct fixture *f)
{
	struct foreign foreign = { .layer = add_layer((struct check *)&f->store) };
	struct fixture late = { .store = f->store, .root = -EBADF };
	static const struct expected read[] = {
		OPENED(1), READ(1, ANY, FOREIGN_BYTES), { 1, USAGE_STATS, ANY }, { 0 }
	};
	struct totals before = { 0 }, after;
	bool done = mount_foreign(f, &foreign, false) && read_foreign(&foreign);

	late.root = open(foreign.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	done = done && register_mount(&late, foreign.layer.text, false, NULL) == 0 &&
	       read_foreign(&foreign);
	after = read_totals(late.mount_id);
	if (done)
		compare("a mount that is registered after it was read", &before, &after, read);
	else
		say(false, "a mount that is registered after it was read", strerror(errno));
	(void)close(late.root);
	usage_bpf_forget(usage, late.mount_id);
	(void)umount(foreign.path);
}

static void check_layers(const struct fixture *f)
{
	check_late_watch(f);
	check_recycled_superblocks(f);
	check_late_registration(f);
	check_foreign(f, "a layer in an overlay that is not registered", false, false);
	check_foreign(f, "a layer as the upper of such an overlay", true, false);
	check_foreign(f, "a directory of another generation", false, true);
	check_foreign_uses(f);
}

/* Mounts two records in turn, which mostly reuse one device number. */
static void check_recycled_devices(struct fixture *f)
{
	struct layer_name layers[2] = { add_layer(&f->store), add_layer(&f->store) };
	unsigned int same_device = 0, wrong = 0;
	dev_t last = 0;

	for (int round = 0; round < 100; round++) {
		struct fixture one = { .store = f->store };
		const char *name = layers[round % 2].text;
		struct overlay_spec spec = { .lowers = &name, .lower_count = 1 };
		struct totals found;
		struct stat st;
		char path[300];

		if (overlay_mount_create(f->store.store, &f->store.features, &spec, &one.root,
					 NULL) < 0 ||
		    register_mount(&one, name, false, NULL) < 0 || attach(&one, "turn", NULL) < 0) {
			wrong++;
			continue;
		}
		same_device += fstat(one.root, &st) == 0 && st.st_dev == last;
		last = st.st_dev;
		(void)same_path(path, sizeof(path), &one, name);
		for (int i = 0; i <= round % 2; i++)
			wrong += !op_open(path, NULL);
		(void)close(one.root);
		(void)umount(one.path);
		found = read_totals(one.mount_id);
		wrong += found.counters[1][USAGE_OPENS] != (uint64_t)(round % 2 + 1);
		/* The mount is retired only now: until then reads on a reused number must not count
		 * for it. */
		if (round % 3)
			usage_bpf_retire(usage, one.mount_id);
		usage_bpf_forget(usage, one.mount_id);
	}
	say(wrong == 0 && same_device > 50, "a hundred mounts over one device number",
	    wrong ? "reads were misfiled" : "the device number was not used again");
}

static bool open_usage(bool forced, enum usage_backend wanted, uint32_t cells, uint32_t files)
{
	struct usage_bpf_options options = { .pin_dir = PIN_DIR,
					     .mount_prefix = mount_prefix,
					     .forced = forced,
					     .wanted = wanted,
					     .max_cells = cells,
					     .max_files = files };
	struct error e = { 0 };

	known_count = 0;
	if (usage_bpf_open(&options, &usage, &e) < 0) {
		say(false, "open", e.text);
		return false;
	}
	return true;
}

static bool stay_on_one_processor(void)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	return sched_setaffinity(0, sizeof(first), &first) == 0;
}

static void check_without_agent(const struct fixture *f)
{
	/* The check whether a mount is registered counts as a stat of its root. */
	static const struct expected cat_and_stat[] = {
		OPENED(2), READ(2, 2, 4096), { 0, USAGE_STATS, ANY }, { 0 }
	};
	struct totals before = read_totals(f->mount_id), after;
	char path[300];

	usage_bpf_close(usage);
	usage = NULL;
	(void)same_path(path, sizeof(path), f, "a");
	(void)op_cat(path, NULL);
	if (!open_usage(true, backend, 0, 0))
		return;
	say(usage_bpf_is_registered(usage, f->mount_id, f->root), "still registered", "it is not");
	after = read_totals(f->mount_id);
	compare("counting goes on without an agent", &before, &after, cat_and_stat);
}

static void check_iterator(const struct fixture *f)
{
	cleanup(close_file) FILE *text = fopen(PIN_DIR "/usage", "re");
	char line[400], wanted[40];
	bool header = false, found = false;

	if (!text && errno == ENOENT) {
		printf("skip the pinned iterator: this kernel refuses iterators\n");
		return;
	}
	(void)snprintf(wanted, sizeof(wanted), "%" PRIu64 " 2 ", f->mount_id);
	while (text && fgets(line, sizeof(line), text)) {
		header |= strncmp(line, "mount layer opens", 17) == 0;
		found |= strncmp(line, wanted, strlen(wanted)) == 0;
	}
	say(header && found, "the pinned iterator prints the table", "no such line");
}

/* Maps with room for the cells of one processor, and for six files, two of which are the share of a
 * mount. */
static void check_full_maps(struct fixture *f)
{
	static const char *const names[] = { "a", "b", "u", "sub/c" };
	struct fixture crowded = { .store = f->store };
	const char *layer = "000002";
	struct overlay_spec spec = { .lowers = &layer, .lower_count = 1 };
	struct usage_lost lost;
	char path[300];
	int code;

	usage_bpf_close(usage);
	usage = NULL;
	if (usage_bpf_unpin(PIN_DIR, NULL) < 0 || !open_usage(true, backend, LAYERS, 6) ||
	    !stay_on_one_processor())
		return;
	code = register_mount(f, "000001", true, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)same_path(path, sizeof(path), f, names[i]);
		(void)op_open(path, NULL);
	}
	lost = usage_read_lost(usage);
	say(code == 0 && lost.files == 2 && lost.cells == 0,
	    "files beyond the share of a mount are lost", "another number");

	if (overlay_mount_create(f->store.store, &f->store.features, &spec, &crowded.root, NULL) <
		    0 ||
	    attach(&crowded, "crowded", NULL) < 0)
		say(false, "a second mount", strerror(errno));
	code = register_mount(&crowded, layer, false, NULL);
	(void)same_path(path, sizeof(path), &crowded, "b");
	(void)op_open(path, NULL);
	lost = usage_read_lost(usage);
	say(code == 0 && lost.cells == 1, "accesses that find no cell are counted as lost",
	    "another number");
	(void)close(crowded.root);
	(void)umount(crowded.path);
}

static void report_programs(void)
{
	const char *reason = usage_bpf_refusal(usage, USAGE_BACKEND_OVERLAY);

	printf("# backend %s", usage_backend_name(backend));
	if (backend == USAGE_BACKEND_SYSCALL && reason)
		printf(" (%s)", reason);
	printf("\n");
}

static bool is_seldom_run(const struct btf *types, const struct bpf_func_info *function)
{
	static const char *const seldom[] = {
		"lose_cell",	     "lose_file",	 "make_cell",	     "make_file_entry",
		"stamp_read_tick",   "count_use",	 "find_layer",	     "btrfs_device",
		"note_verdict",	     "judge_layer",	 "find_verdict",     "note_cgroup_names",
		"make_reader_entry", "is_cgroup_named",	 "is_program_named", "compare_slot",
		"lose_entry",	     "note_cgroup_name",
	};
	const struct btf_type *type = btf__type_by_id(types, function->type_id);
	const char *name = type ? btf__name_by_offset(types, type->name_off) : "";

	for (size_t i = 0; i < ARRAY_SIZE(seldom); i++)
		if (strcmp(name, seldom[i]) == 0)
			return true;
	return false;
}

/* How long the functions are that each counted read enters: all of their instructions, after the
 * verifier has removed those that this kernel's types make dead. A read runs fewer of them; what a
 * file's first read, a cell's first read in a tick, a mount that is not registered and lost
 * accesses enter is left out. */
static void print_read_instructions(int program)
{
	struct bpf_func_info functions[32] = { 0 };
	struct bpf_prog_info info = { .func_info = (uintptr_t)functions,
				      .func_info_rec_size = sizeof(functions[0]),
				      .nr_func_info = ARRAY_SIZE(functions) };
	uint32_t size = sizeof(info), total = 0;
	struct btf *types;

	if (bpf_obj_get_info_by_fd(program, &info, &size) < 0) {
		say(false, "look at the program", strerror(errno));
		return;
	}
	types = btf__load_from_kernel_by_id(info.btf_id);
	for (uint32_t i = 0; types && i < info.nr_func_info; i++) {
		uint32_t end = i + 1 < info.nr_func_info ? functions[i + 1].insn_off
							 : info.xlated_prog_len / 8;

		if (!is_seldom_run(types, &functions[i]))
			total += end - functions[i].insn_off;
	}
	btf__free(types);
	printf("{\"name\":\"overlay_read_insns\",\"value\":%u,\"unit\":\"instructions\"}\n", total);
	say(total > 0 && total <= READ_INSTRUCTIONS_MAX, "a counted read enters few instructions",
	    "too many");
	printf("{\"name\":\"overlay_read_jited_bytes\",\"value\":%u,\"unit\":\"bytes\"}\n",
	       info.jited_prog_len);
}

static void report_read_program(void)
{
	struct bpf_link_info link = { 0 };
	uint32_t size = sizeof(link);
	cleanup(close_fd) int link_fd = bpf_obj_get(PIN_DIR "/links_1/file_read");
	cleanup(close_fd) int program = -EBADF;

	if (link_fd >= 0 && bpf_obj_get_info_by_fd(link_fd, &link, &size) == 0)
		program = bpf_prog_get_fd_by_id(link.prog_id);
	if (program < 0)
		say(false, "look at the program", strerror(errno));
	else
		print_read_instructions(program);
}

static int run(const char *directory, bool forced, enum usage_backend wanted)
{
	struct fixture f = { .root = -EBADF };

	(void)usage_bpf_unpin(PIN_DIR, NULL); /* the pins of a run that was killed */
	(void)snprintf(mount_prefix, sizeof(mount_prefix), "%s/store/mounts/", directory);
	if (!open_usage(forced, wanted, 0, 0))
		return 1;
	backend = usage_bpf_backend(usage);
	if (forced && backend != wanted) {
		printf("skip %s: %s\n", usage_backend_name(wanted),
		       usage_bpf_refusal(usage, wanted));
		usage_bpf_close(usage);
		(void)usage_bpf_unpin(PIN_DIR, NULL); /* no program is attached here */
		return 77;
	}
	report_programs();
	if (backend == USAGE_BACKEND_OVERLAY)
		report_read_program();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		say(false, "private mounts", strerror(errno));
	if (set_up(&f, directory)) {
		for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
			run_operation(&f, &operations[i]);
		check_outside_changes(&f);
		check_strangers(&f);
		check_places(&f);
		check_stacked(&f);
		check_metacopy(&f);
		check_layers(&f);
		check_recycled_devices(&f);
		check_without_agent(&f);
		check_iterator(&f);
		check_full_maps(&f);
	}
	usage_bpf_close(usage);
	if (usage_bpf_unpin(PIN_DIR, NULL) < 0)
		say(false, "unpin", "it failed");
	return failures > 0;
}

int main(int argc, char **argv)
{
	bool forced = argc == 4 && strcmp(argv[1], "--backend") == 0;

	if (argc == 2 && strcmp(argv[1], "exit") == 0)
		return 0;
	if (!forced && argc != 2) {
		fputs("usage: usage_probe [--backend overlay|syscall] DIR\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	return run(argv[argc - 1], forced,
		   forced && strcmp(argv[2], "overlay") == 0 ? USAGE_BACKEND_OVERLAY
							     : USAGE_BACKEND_SYSCALL);
}
