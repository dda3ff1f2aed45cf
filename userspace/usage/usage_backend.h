/* SPDX-License-Identifier: Apache-2.0 */
/* The backends that count, and how one is chosen. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum usage_backend {
	USAGE_BACKEND_NONE,
	USAGE_BACKEND_SYSCALL, /* tp_btf sys_exit, sched_process_exec, io_uring_complete */
	USAGE_BACKEND_OVERLAY, /* fexit on overlayfs' own functions */
	USAGE_BACKEND_COUNT,
};

/* The store that is counted, for as long as the options; see usage_owner.h. */
struct usage_store {
	const char *path;
	int root_fd, lock_fd;
};

struct usage_bpf_options {
	const char *pin_dir; /* e.g. /sys/fs/bpf/varve/v2; made where it is missing */
	const struct usage_store *store; /* NULL: the pins do not say whose they are */
	/* Absolute, with a final slash: where the mounts are made. Lets the syscall backend notice
	 * changes by absolute paths from outside (usage_read_unplaced_changes()). NULL: unknown. */
	const char *mount_prefix;
	bool forced; /* try only `wanted`, else the best that works */
	enum usage_backend wanted;
	/* 0: the defaults, 524288 cells and 196608 files. Maps that are pinned already keep the
	 * sizes that they were made with. */
	uint32_t max_cells; /* one for each layer and processor that has counted something */
	uint32_t max_files; /* that fit into a buffer, see usage_files.h */
};

const char *usage_backend_name(enum usage_backend backend); /* "none", "syscall", "overlay" */
