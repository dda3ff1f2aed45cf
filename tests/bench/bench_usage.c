/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_usage: what a busy node costs the accounting: 10 000 chains of 20 layers, all of them
 * watched and read through an overlay of a client. The layers' roots are made up, and the cells are
 * written here instead of by the programs. Prints JSON lines.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "usage/usage_bpf.h"
#include "usage/usage_file_buffer.h"
#include "usage/usage_handle.h"
#include "usage/usage_layers.h"
#include "usage/usage_reader.h"

#define PIN_DIR "/sys/fs/bpf/varve-bench-usage/v1"
#define LAYERS 200000 /* of 10 000 chains, none of them shared */
#define LAYERS_IN_USE 2000

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail */
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void print(const char *name, double value, const char *unit)
{
	printf("{\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"}\n", name, value, unit);
}

/* What the kernel says that the maps take. */
static double memory_mb(const struct usage_bpf *u)
{
	uint32_t id;
	cleanup(close_fd) int files = usage_file_buffer_open(u->maps.file_buffer, &id, NULL);
	const int maps[] = { u->maps.mount_by_minor, u->maps.layer_by_root,
			     u->maps.root_filter,    u->maps.cells,
			     u->maps.layer_uses,     u->maps.mapped_files,
			     u->maps.mapped_filter,  files };
	double bytes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		unsigned long long memory = 0;
		char path[64], line[128];

		(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", maps[i]);
		cleanup(close_file) FILE *f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			(void)sscanf(line, "memlock: %llu", &memory);
		bytes += (double)memory;
	}
	return bytes / 1e6;
}

static int watch_layers(struct usage_bpf *u, struct error *e)
{
	for (uint64_t i = 1; i <= LAYERS; i++) {
		struct usage_root root = { .inode = i * 7, .device = 1, .generation = (uint32_t)i };
		uint64_t owner = i | USAGE_LAYER_OWNER;
		char name[USAGE_LAYER_NAME_SIZE];
		int code;

		(void)snprintf(name, sizeof(name), "%06x", (unsigned int)i);
		code = usage_layers_watch(u, &root, name, &owner, e);
		if (code < 0)
			return code;
	}
	return 0;
}

static int read_layers(struct usage_bpf *u)
{
	struct usage_counts counts = { .reads = 1, .read_bytes = 4096, .last_read = 1 };

	for (uint64_t i = 1; i <= LAYERS; i++) {
		struct usage_cell_key key = { .owner = i | USAGE_LAYER_OWNER,
					      .layer = USAGE_AS_LOWER };

		if (bpf_map_update_elem(u->maps.cells, &key, &counts, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

static int count_cell(const struct usage_cell *cell, void *user)
{
	*(uint64_t *)user += cell->totals.counters[USAGE_READS];
	return 0;
}

/* As if layers of 100 chains were being read. */
static int touch_layers(struct usage_bpf *u)
{
	cleanup(free_ptr) struct usage_touched *touched = calloc(1, sizeof(*touched));
	uint32_t zero = 0;

	for (uint64_t i = 1; touched && i <= LAYERS_IN_USE; i++)
		touched->owners[USAGE_TOUCHED_PLACE(i)] = 1;
	return touched && bpf_map_update_elem(u->maps.touched_owners, &zero, touched, BPF_ANY) == 0
		       ? 0
		       : -ENOMEM;
}

/* A fold in which all has changed, and one after 100 chains were used. */
static int measure_folds(struct usage_bpf *u, struct error *e)
{
	double start = now_ms();
	uint64_t all = 0, changed = 0;
	int code = usage_read_changed_cells(u, count_cell, &all, e);

	if (code < 0)
		return code;
	print("usage_read_10000_chains_ms", now_ms() - start, "ms");
	if (touch_layers(u) < 0)
		return error_set(e, -ENOMEM, "touch the layers");
	start = now_ms();
	code = usage_read_changed_cells(u, count_cell, &changed, e);
	print("usage_read_100_of_10000_chains_ms", now_ms() - start, "ms");
	if (code == 0 && (all != LAYERS || changed != LAYERS_IN_USE))
		return error_set(e, -EIO, "cells were lost");
	return code;
}

static int measure(struct usage_bpf *u, struct error *e)
{
	double start = now_ms(), idle = memory_mb(u);
	int code = watch_layers(u, e);

	if (code < 0)
		return code;
	print("usage_watch_us", (now_ms() - start) * 1e3 / LAYERS, "us");
	code = read_layers(u);
	if (code < 0)
		return error_set(e, code, "write the cells");
	print("usage_idle_mb", idle, "MB");
	print("usage_10000_chains_mb", memory_mb(u), "MB");
	return measure_folds(u, e);
}

int main(void)
{
	struct usage_bpf_options options = { .pin_dir = PIN_DIR };
	struct usage_bpf *u = NULL;
	struct error e = { 0 };
	int code;

	(void)usage_bpf_unpin(PIN_DIR, NULL); /* of a run that was killed */
	code = usage_bpf_open(&options, &u, &e);
	if (code == 0 && usage_bpf_backend(u) != USAGE_BACKEND_NONE)
		code = measure(u, &e);
	if (code < 0)
		fprintf(stderr, "bench_usage: %s\n", e.text);
	usage_bpf_close(u);
	(void)usage_bpf_unpin(PIN_DIR, NULL);
	return code < 0;
}
