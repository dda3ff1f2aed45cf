/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the BPF programs and userspace/usage/ both read: map keys and values, and the table that
 * tells the programs which system calls concern them. A change of layout bumps the vN of the pin
 * folder. Times are CLOCK_BOOTTIME nanoseconds, 0 for never.
 */
#pragma once

#include <linux/types.h>

#define USAGE_NO_CELL 0xffffffffU
#define USAGE_MAX_CALLS 512
#define USAGE_MAX_RING_CALLS 256 /* as many as an operation's byte can name */
#define USAGE_MOUNT_PREFIX_SIZE 128

/* mount_by_device: what hides behind a kernel device number (major << 20 | minor). */
struct usage_slot {
	__u64 mount_id;
	__u64 identity_inode; /* root of layer 0 when writable, else of the first lower */
	__u32 identity_device; /* 0: not to be compared */
	__u32 first_cell; /* its layers' cells lie side by side; USAGE_NO_CELL: count as lost */
	__u32 layer_count;
	__u32 writable;
};
_Static_assert(sizeof(struct usage_slot) == 32, "layout of mount_by_device");

/* usage_cells, for each CPU: one layer of one mount. A cell is free while mount_id is 0; its
 * last_access then says when it was set free. */
struct usage_counts {
	__u64 mount_id;
	__u32 layer;
	__u32 last_tick; /* low half of the jiffies at which last_access was taken */
	__u64 first_access, last_access;
	__u64 opens, execs;
	__u64 reads, read_bytes;
	__u64 writes, written_bytes;
	__u64 mmaps, stats, readlinks;
	__u64 copy_ups, copied_up_bytes;
	__u64 upper_changes;
};
_Static_assert(sizeof(struct usage_counts) == 128, "layout of usage_cells");

/* usage_files: a file by its inode number in its layer's own file system. */
struct usage_file_key {
	__u64 mount_id;
	__u64 inode;
	__u32 layer;
	__u32 zero;
};
_Static_assert(sizeof(struct usage_file_key) == 24, "layout of the key of usage_files");

struct usage_file_counts {
	__u64 opens, read_bytes;
	__u64 last_access;
	__u64 copied_up; /* 1: its copy-up is counted already (syscall backend) */
};
_Static_assert(sizeof(struct usage_file_counts) == 32, "layout of usage_files");

/* usage_lost, for each CPU: what could not be counted, or not where it belongs. */
struct usage_lost_counts {
	__u64 cells;
	__u64 files;
	__u64 unplaced_changes; /* changes by a path that may lead into any of the mounts */
};
_Static_assert(sizeof(struct usage_lost_counts) == 24, "layout of usage_lost");

/* usage_build: which programs are attached; read and written by userspace only. */
struct usage_build {
	__u64 digest; /* of the object and its knobs; 0: an installation was interrupted */
	__u32 generation;
	__u32 link_count;
};
_Static_assert(sizeof(struct usage_build) == 16, "layout of usage_build");

/* What a system call, or an io_uring operation, means to the accounting. */
enum usage_call_class {
	USAGE_CALL_NONE,
	USAGE_CALL_OPEN, /* returns a descriptor; the path argument's place holds that of the flags
			  */
	USAGE_CALL_OPEN_HOW, /* the same, with a pointer to struct open_how */
	USAGE_CALL_READ, /* from descriptor 0 */
	USAGE_CALL_WRITE, /* to descriptor 0 */
	USAGE_CALL_MMAP,
	USAGE_CALL_SENDFILE, /* to descriptor 0 from descriptor 1 */
	USAGE_CALL_SPLICE, /* from descriptor 0 to descriptor 2 */
	USAGE_CALL_IOCTL, /* those that share extents with descriptor 0 */
	USAGE_CALL_CHANGE_FILE, /* changes what descriptor 0 is open on */
	USAGE_CALL_CHANGE_PATH, /* changes what a path leads to */
};

/* An entry of the call table: the class, and for paths the places of two arguments. */
#define USAGE_CALL_AT_CWD 15 /* instead of an argument: there is no dirfd */
#define USAGE_CALL_CLASS(entry) ((entry)&0xff)
#define USAGE_CALL_DIRECTORY(entry) ((entry) >> 8 & 0xff)
#define USAGE_CALL_PATH(entry) ((entry) >> 16 & 0xff)
#define USAGE_CALL_ENTRY(class, directory, path) \
	((__u32)(class) | (__u32)(directory) << 8 | (__u32)(path) << 16)
