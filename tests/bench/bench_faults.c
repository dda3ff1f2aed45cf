/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_faults FILE: what a fault in a mapped file that is in no layer costs while faults are
 * counted, compared with a fault while nothing is; and the same with programs that do nothing,
 * which no counting can be cheaper than. Measured in turns, by processor time. FILE is made, and
 * removed. Prints JSON lines.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/cleanup.h"
#include "usage/usage_bpf.h"
#include "usage/usage_handle.h"
#include "usage/usage_reader.h"

#define PIN_DIR "/sys/fs/bpf/varve-bench-faults/v1"
#define TURNS 9
#define SWEEPS 40
#define FAULTS 1024 /* of a sweep: each maps the 16 pages around */
#define PAGES_AROUND 16

static size_t file_size;

static double now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds for a fault; the least of all sweeps, since whatever else happens adds to it. */
static double measure_fault(volatile char *map)
{
	size_t step = file_size / FAULTS;
	double least = 1e18;

	for (int sweep = 0; sweep < SWEEPS; sweep++) {
		double start;

		(void)madvise((void *)map, file_size, MADV_DONTNEED);
		start = now_ns();
		for (size_t at = 0; at < file_size; at += step)
			(void)map[at];
		start = (now_ns() - start) / FAULTS;
		if (start < least)
			least = start;
	}
	return least;
}

/* As if 65 536 files of layers had been mapped. */
static void fill_filter(struct usage_bpf *u)
{
	for (uint64_t inode = 1; inode <= USAGE_MAPPED_FILES; inode++) {
		uint64_t bit = USAGE_MAPPED_BIT(inode * 77);

		u->mapped_filter->words[bit >> 6] |= UINT64_C(1) << (bit & 63);
	}
}

static int measure_counted(volatile char *map, double *ret_ns, struct error *e)
{
	struct usage_bpf_options options = { .pin_dir = PIN_DIR };
	cleanup(usage_bpf_close) struct usage_bpf *u = NULL;
	int code = usage_bpf_open(&options, &u, e);

	if (code < 0)
		return code;
	if (!usage_sees(u, USAGE_MAPPED_BYTES))
		return error_set(e, -ENOTSUP, "faults are not seen on this kernel");
	fill_filter(u);
	*ret_ns = measure_fault(map);
	(void)usage_bpf_unpin(PIN_DIR, NULL);
	return 0;
}

/* -1: the kernel does not take such a program. */
static int attach_empty(const char *tracepoint)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int id = libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP);
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP,
		    .attach_btf_id = id > 0 ? (uint32_t)id : 0);
	cleanup(close_fd) int program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL",
						      nothing, ARRAY_SIZE(nothing), &options);

	return program < 0 ? -1 : bpf_raw_tracepoint_open(NULL, program);
}

static double measure_floor(volatile char *map)
{
	cleanup(close_fd) int pages = attach_empty("mm_filemap_map_pages");
	cleanup(close_fd) int fault = attach_empty("mm_filemap_fault");

	return pages < 0 || fault < 0 ? 0 : measure_fault(map);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int measure(volatile char *map, struct error *e)
{
	double ratios[TURNS], floors[TURNS], plain = 0;

	for (int turn = 0; turn < TURNS; turn++) {
		double before = measure_fault(map), counted = 0, after;
		int code = measure_counted(map, &counted, e);

		if (code < 0)
			return code;
		after = measure_fault(map);
		plain = before < after ? before : after;
		ratios[turn] = 100 * (counted / plain - 1);
		floors[turn] = 100 * (measure_floor(map) / plain - 1);
	}
	qsort(ratios, TURNS, sizeof(*ratios), compare);
	qsort(floors, TURNS, sizeof(*floors), compare);
	printf("{\"name\":\"fault_elsewhere_ratio\",\"value\":%.2f,\"unit\":\"percent\"}\n",
	       ratios[TURNS / 2]);
	printf("{\"name\":\"fault_elsewhere_floor_ratio\",\"value\":%.2f,\"unit\":\"percent\"}\n",
	       floors[TURNS / 2]);
	printf("{\"name\":\"fault_elsewhere_plain_ns\",\"value\":%.0f,\"unit\":\"ns\"}\n", plain);
	return 0;
}

static volatile char *map_file(const char *path)
{
	cleanup(close_fd) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	static char block[1 << 16];
	void *map;

	if (fd < 0)
		return NULL;
	(void)unlink(path);
	for (size_t at = 0; at < file_size; at += sizeof(block))
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			return NULL;
	map = mmap(NULL, file_size, PROT_READ, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

int main(int argc, char **argv)
{
	struct error e = { 0 };
	volatile char *map;
	int code;

	file_size = (size_t)getpagesize() * PAGES_AROUND * FAULTS;
	map = argc == 2 ? map_file(argv[1]) : NULL;
	if (!map) {
		fprintf(stderr, "usage: bench_faults FILE\n");
		return 2;
	}
	(void)usage_bpf_unpin(PIN_DIR, NULL); /* of a run that was killed */
	code = measure(map, &e);
	(void)usage_bpf_unpin(PIN_DIR, NULL);
	if (code < 0)
		fprintf(stderr, "bench_faults: %s\n", e.text);
	return code < 0 && code != -ENOTSUP;
}
