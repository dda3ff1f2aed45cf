/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_syscall DIR: measures the cost of the syscall backend on an overlay that it makes in DIR,
 * with and without the programs in turns, so that both see the same noise. Prints medians as JSON
 * lines.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "overlay/overlay_mount.h"
#include "overlay/overlay_probe.h"
#include "tests/lib/check_store.h"
#include "usage/usage_bpf.h"
#include "usage/usage_layers.h"

#define PIN_DIR "/sys/fs/bpf/varve-bench/v1"
#define ROUNDS 31
#define TAR_ROUNDS 15
#define FILES 20000

static double now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* What other processes on this processor take does not count. */
static double spent_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

static void print(const char *name, double value, const char *unit)
{
	printf("{\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"}\n", name, value, unit);
}

struct bench {
	struct check store;
	int root;
	char layer[16];
	char path[300], memory[300]; /* of the overlay, and of a tmpfs */
	char foreign[300], foreign_layer[300]; /* of an overlay that is not registered */
	struct usage_bpf *usage;
	int empty_program; /* its link */
};

static bool make_mount(struct bench *b, const char *directory)
{
	struct error e = { 0 };
	char path[300], file[400], bytes[4096] = { 0 };
	struct layer_name layer;
	int code;

	(void)snprintf(b->memory, sizeof(b->memory), "%s/memory", directory);
	(void)snprintf(path, sizeof(path), "%s/store", directory);
	if (mkdir(b->memory, 0700) < 0 || mount("none", b->memory, "tmpfs", 0, NULL) < 0 ||
	    !make_store(strdup(path), &b->store))
		return false;
	code = overlay_probe(b->store.store, &b->store.features, &e);
	layer = add_layer(&b->store);
	(void)snprintf(b->layer, sizeof(b->layer), "%s", layer.text);
	(void)snprintf(path, sizeof(path), "%s/layers/%s/fs", b->store.path, layer.text);
	for (int i = 0; i < FILES; i++) {
		(void)snprintf(file, sizeof(file), "%s/%d", path, i % 200);
		if (i < 200 && mkdir(file, 0755) < 0)
			return false;
		(void)snprintf(file, sizeof(file), "%s/%d/%d", path, i % 200, i);
		cleanup(close_fd) int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
			return false;
	}

	const char *lower = b->layer;
	struct overlay_spec spec = { .lowers = &lower, .lower_count = 1 };
	if (code == 0)
		code = overlay_mount_create(b->store.store, &b->store.features, &spec, &b->root,
					    &e);
	if (code == 0) {
		cleanup(close_fd) int mounts = openat(b->store.store, "mounts", O_PATH | O_CLOEXEC);

		(void)mkdirat(mounts, "m", 0755);
		code = overlay_mount_attach(b->root, mounts, "m", &e);
	}
	(void)snprintf(b->path, sizeof(b->path), "%s/mounts/m", b->store.path);
	if (code < 0)
		fprintf(stderr, "bench_syscall: %s\n", e.text);
	return code == 0;
}

/* An overlay whose layers the agent does not know, with one file of 4096 bytes. */
static bool make_foreign_mount(struct bench *b)
{
	char options[700], file[400], bytes[4096] = { 0 };
	struct layer_name layer = add_layer(&b->store);

	(void)snprintf(b->foreign_layer, sizeof(b->foreign_layer), "%s/layers/%s/fs", b->store.path,
		       layer.text);
	(void)snprintf(file, sizeof(file), "%s/7", b->foreign_layer);
	if (mkdir(file, 0755) < 0)
		return false;
	(void)snprintf(file, sizeof(file), "%s/7/7", b->foreign_layer);
	cleanup(close_fd) int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		return false;
	(void)snprintf(b->foreign, sizeof(b->foreign), "%s/foreign", b->store.path);
	(void)snprintf(options, sizeof(options), "lowerdir=%s:%s/empty", b->foreign_layer,
		       b->store.path);
	return mkdir(b->foreign, 0755) == 0 &&
	       mount("overlay", b->foreign, "overlay", MS_RDONLY, options) == 0;
}

static bool watch_foreign_layer(struct bench *b, struct error *e)
{
	cleanup(close_fd) int fd = open(b->foreign_layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t owner = 1 | USAGE_LAYER_OWNER;
	struct usage_root root;

	return usage_layers_identify(fd, &root, e) == 0 &&
	       usage_layers_watch(b->usage, &root, "foreign", &owner, e) == 0;
}

static bool attach_ours(struct bench *b)
{
	struct usage_bpf_options options = { .pin_dir = PIN_DIR,
					     .forced = true,
					     .wanted = USAGE_BACKEND_SYSCALL };
	static uint64_t mount_id = 1;
	struct error e = { 0 };
	char path[300];

	if (usage_bpf_open(&options, &b->usage, &e) < 0 ||
	    usage_bpf_backend(b->usage) != USAGE_BACKEND_SYSCALL) {
		fprintf(stderr, "bench_syscall: %s\n",
			b->usage ? usage_bpf_refusal(b->usage, USAGE_BACKEND_SYSCALL) : e.text);
		return false;
	}
	(void)snprintf(path, sizeof(path), "%s/layers/%s/fs", b->store.path, b->layer);
	cleanup(close_fd) int identity = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (usage_bpf_register(b->usage, mount_id++, b->root, identity, false, 3, &e) == 0)
		return true;
	fprintf(stderr, "bench_syscall: %s\n", e.text);
	return false;
}

static bool attach_ours_and_watch(struct bench *b)
{
	struct error e = { 0 };

	if (!attach_ours(b))
		return false;
	if (watch_foreign_layer(b, &e))
		return true;
	fprintf(stderr, "bench_syscall: %s\n", e.text);
	return false;
}

static void detach_ours(struct bench *b)
{
	usage_bpf_close(b->usage);
	b->usage = NULL;
	(void)usage_bpf_unpin(PIN_DIR, NULL); /* the next attach reports pins that stay */
}

/* For comparison: the cost of an empty program at the same place. */
static bool attach_empty_program(struct bench *b)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
	struct btf *types = btf__load_vmlinux_btf();
	cleanup(close_fd) int program = -EBADF;

	options.attach_btf_id =
		(uint32_t)btf__find_by_name_kind(types, "btf_trace_sys_exit", BTF_KIND_TYPEDEF);
	btf__free(types);
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "nothing", "GPL", nothing,
				ARRAY_SIZE(nothing), &options);
	b->empty_program = program < 0 ? program : bpf_raw_tracepoint_open(NULL, program);
	return b->empty_program >= 0;
}

static void detach_empty_program(struct bench *b)
{
	(void)close(b->empty_program);
}

struct programs {
	bool (*attach)(struct bench *b);
	void (*detach)(struct bench *b);
};

static const struct programs ours = { attach_ours, detach_ours };
static const struct programs ours_and_watch = { attach_ours_and_watch, detach_ours };
static const struct programs empty = { attach_empty_program, detach_empty_program };

static double time_getppid(const struct bench *b)
{
	const int calls = 200000;
	double start = spent_ns();

	(void)b;
	for (int i = 0; i < calls; i++)
		(void)getppid();
	return (spent_ns() - start) / calls;
}

static double time_open_read_close_in(const char *directory)
{
	const int calls = 20000;
	char path[400], bytes[4096];
	double start;

	(void)snprintf(path, sizeof(path), "%s/7/7", directory);
	start = spent_ns();
	for (int i = 0; i < calls; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (read(fd, bytes, sizeof(bytes)) != sizeof(bytes) || close(fd) < 0)
			return 0;
	}
	return (spent_ns() - start) / calls;
}

static double time_open_read_close(const struct bench *b)
{
	return time_open_read_close_in(b->path);
}

static double time_foreign(const struct bench *b)
{
	return time_open_read_close_in(b->foreign);
}

static double time_tar(const struct bench *b)
{
	char command[700];
	double start = now_ns();

	/* tar writes to a file in memory: it would read nothing for /dev/null, and the reader of a
	 * pipe would add the noise of the scheduler. */
	(void)snprintf(command, sizeof(command), "tar cf '%s/tar' -C '%s' .", b->memory, b->path);
	return system(command) == 0 ? now_ns() - start : 0;
}

/* Computes the medians of both states, and the median of the ratios pair by pair. */
struct result {
	double without, with, percent;
};

static bool no_programs(struct bench *b)
{
	(void)b;
	return true;
}

static void nothing_to_detach(struct bench *b)
{
	(void)b;
}

static const struct programs none = { no_programs, nothing_to_detach };

static bool compare_with(struct bench *b, const struct programs *base,
			 const struct programs *programs, double (*measure)(const struct bench *b),
			 size_t rounds, struct result *ret_result)
{
	double without[ROUNDS], with[ROUNDS], percent[ROUNDS];

	(void)measure(b); /* warms the caches */
	for (size_t i = 0; i < rounds; i++) {
		if (!base->attach(b))
			return false;
		without[i] = measure(b);
		base->detach(b);
		if (!programs->attach(b))
			return false;
		with[i] = measure(b);
		programs->detach(b);
		percent[i] = 100 * (with[i] / without[i] - 1);
	}
	*ret_result = (struct result){ median(without, rounds), median(with, rounds),
				       median(percent, rounds) };
	return true;
}

static bool compare(struct bench *b, const struct programs *programs,
		    double (*measure)(const struct bench *b), size_t rounds,
		    struct result *ret_result)
{
	return compare_with(b, &none, programs, measure, rounds, ret_result);
}

int main(int argc, char **argv)
{
	struct bench b = { .root = -EBADF };
	struct result idle, idle_floor, use, use_floor, tar, tar_floor, foreign, watched;
	cpu_set_t second;

	if (argc != 2) {
		fputs("usage: bench_syscall DIR\n", stderr);
		return 2;
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !make_mount(&b, argv[1]) || !make_foreign_mount(&b))
		return 1;
	(void)usage_bpf_unpin(PIN_DIR, NULL); /* the pins of a run that was killed */
	CPU_ZERO(&second);
	CPU_SET(1, &second);
	(void)sched_setaffinity(0, sizeof(second), &second); /* fails with one processor */
	if (!compare(&b, &ours, time_tar, TAR_ROUNDS, &tar) ||
	    !compare(&b, &empty, time_tar, TAR_ROUNDS, &tar_floor) ||
	    !compare(&b, &ours, time_getppid, ROUNDS, &idle) ||
	    !compare(&b, &empty, time_getppid, ROUNDS, &idle_floor) ||
	    !compare(&b, &ours, time_open_read_close, ROUNDS, &use) ||
	    !compare(&b, &empty, time_open_read_close, ROUNDS, &use_floor) ||
	    !compare_with(&b, &empty, &ours, time_foreign, ROUNDS, &foreign) ||
	    !compare(&b, &ours_and_watch, time_foreign, ROUNDS, &watched))
		return 1;
	print("syscall_getppid_ns", idle.without, "ns");
	print("syscall_idle_ns", idle.with - idle.without, "ns");
	print("syscall_idle_floor_ns", idle_floor.with - idle_floor.without, "ns");
	print("syscall_open_read_close_ns", use.without, "ns");
	print("syscall_open_read_close_ratio", use.percent, "percent");
	print("syscall_open_read_close_floor_ratio", use_floor.percent, "percent");
	/* Beyond what an empty program costs each call, whatever it is about. */
	print("foreign_overlay_ratio", foreign.percent, "percent");
	print("syscall_watched_layer_ratio", watched.percent, "percent");
	print("syscall_tar_ms", tar.without / 1e6, "ms");
	print("syscall_tar_ratio", tar.percent, "percent");
	print("syscall_tar_floor_ratio", tar_floor.percent, "percent");
	return 0;
}
