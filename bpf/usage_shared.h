/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the BPF programs and userspace/usage/ both read: map keys and values, and the table that
 * tells the programs which system calls concern them. A change of layout bumps the vN of the pin
 * folder. Times are CLOCK_BOOTTIME nanoseconds, 0 for never.
 */
#pragma once

#include <linux/types.h>

#define USAGE_MAX_CALLS 512
#define USAGE_MAX_RING_CALLS 256 /* as many as an operation's byte can name */
#define USAGE_MOUNT_PREFIX_SIZE 128
#define USAGE_LAYER_NAME_SIZE 8

/* The owner of a cell or of a file's entry is a mount that the agent has registered, by its id, or
 * a layer, by the id of its watch with this bit. */
#define USAGE_LAYER_OWNER (1ULL << 62)
/* Indices of a layer's own cells: what was done to it as the upper of an overlay, or as a lower. */
#define USAGE_AS_UPPER 0
#define USAGE_AS_LOWER 1

/* Set in the index: what upkeep has read, which is not a use. */
#define USAGE_UPKEEP (1U << 31)

/* A directory, whatever happens to its path: an inode number that is used again has another
 * generation. The device is the one that stat(2) shows, as the kernel has it: major << 20 | minor
 * (of btrfs the subvolume's, for which inode numbers are unique). */
struct usage_root {
	__u64 inode;
	__u32 device;
	__u32 generation;
};
_Static_assert(sizeof(struct usage_root) == 16, "layout of the key of layer_by_root");

/* layer_by_root: the layers that are watched, by the root directory of their files. */
struct usage_layer {
	__u64 owner;
	char name[USAGE_LAYER_NAME_SIZE]; /* for the agent that comes after this one */
};
_Static_assert(sizeof(struct usage_layer) == 16, "layout of layer_by_root");

/* root_filter: a bit for each root that is watched; one that is not there is not watched. */
#define USAGE_FILTER_BITS 21
#define USAGE_FILTER_WORDS (1U << (USAGE_FILTER_BITS - 6))
#define USAGE_FILTER_BIT(root)                                                      \
	((((root)->inode ^ (__u64)(root)->device << 40) * 0x9e3779b97f4a7c15ULL) >> \
	 (64 - USAGE_FILTER_BITS))

/* mount_by_minor: the superblock of overlayfs that has this minor number; its major is 0. */
struct usage_slot {
	__u64 mount_id; /* 0: it is not registered */
	struct usage_root identity; /* of layer 0 when writable, else of the first lower */
	__u32 flags;
	__u32 layer_count; /* the upper included; of interest to userspace */
};
#define USAGE_SLOT_WRITABLE 1
#define USAGE_SLOT_SUBVOLUMES 4 /* the device is that of a subvolume of btrfs */
#define USAGE_SLOT_WITHOUT_GENERATION 2 /* the layers' file system has none: not compared */
/* Written by the programs, 0 until then: the superblock that was compared with the identity. */
#define USAGE_SLOT_COMPARED_SHIFT 8
_Static_assert(sizeof(struct usage_slot) == 32, "layout of mount_by_minor");
#define USAGE_LAYERS_MAX 1024 /* of a mount: twice what overlayfs takes */

/* mount_verdicts: whether a mount is foreign, see usage_foreign.h. Userspace counts the epoch;
 * from USAGE_EPOCH_MAX on, the programs note no verdicts. Tokens are ids of mounts, which the
 * kernel counts from 1 << 31 on. */
#define USAGE_MOUNT_VERDICTS 4096
struct usage_mount_verdicts {
	__u64 epoch;
	__u64 by_mount[USAGE_MOUNT_VERDICTS];
};
_Static_assert(sizeof(struct usage_mount_verdicts) == 8 + 8 * USAGE_MOUNT_VERDICTS,
	       "layout of mount_verdicts");
#define USAGE_EPOCH_BITS 27
#define USAGE_EPOCH_MAX ((1ULL << USAGE_EPOCH_BITS) - 1)
#define USAGE_MOUNT_VERDICT(token, epoch, foreign) \
	((__u64)(token) << (USAGE_EPOCH_BITS + 1) | (__u64)(epoch) << 1 | (foreign))

/* usage_cells: one layer of one owner, as far as some of the processors counted it. */
struct usage_cell_key {
	__u64 owner;
	__u32 layer;
	__u32 part; /* of the processor's number; two processors may have the same */
};
_Static_assert(sizeof(struct usage_cell_key) == 16, "layout of the key of usage_cells");

#define USAGE_MAX_PARTS 16

/* touched_owners: a byte that is not 0 for each owner of which a cell may have changed; several
 * owners share one. The agent takes them, and reads the cells of these owners. */
#define USAGE_TOUCHED 262144
#define USAGE_TOUCHED_PLACE(owner) ((owner) & (USAGE_TOUCHED - 1))
struct usage_touched {
	__u8 owners[USAGE_TOUCHED];
};

struct usage_counts {
	__u64 first_read, last_read; /* opens for reading, execs, reads and mappings */
	__u64 last_write;
	__u64 superblock; /* of a layer: through which it was read last */
	__u32 read_tick, write_tick; /* low half of the jiffies at which the times were taken */
	__u64 opens, read_opens;
	__u64 execs;
	__u64 reads, read_bytes;
	__u64 writes, written_bytes;
	__u64 mmaps, stats, readlinks;
	__u64 copy_ups, copied_up_bytes;
	__u64 upper_changes;
	__u64 uses; /* of a layer: once for each superblock and hour; of a mount: 0 */
	__u64 mapped_bytes; /* that faults mapped in: more than what was touched */
};
_Static_assert(sizeof(struct usage_counts) == 160, "layout of usage_cells");

/* layer_uses: when a use of a layer through a superblock was counted last. */
struct usage_use_key {
	__u64 owner;
	__u64 superblock; /* see mount_token() */
};
_Static_assert(sizeof(struct usage_use_key) == 16, "layout of the key of layer_uses");
#define USAGE_USE_EVERY_NS 3600000000000ULL

/* mapped_files: what the faults of a file are credited to, by the identity that it has in its
 * layer's own file system. */
#define USAGE_MAPPED_FILES 65536
struct usage_mapped {
	struct usage_root layer_root; /* of a layer that must be watched */
	__u64 superblock; /* see mount_token() */
	__u64 mount_id; /* 0: none was registered that mapped the file */
	__u64 last; /* when it was mapped or had a fault last */
	__u32 device; /* of the registered mount */
	__u32 mount_layer; /* its index there */
	__u32 as_lower; /* USAGE_AS_LOWER or USAGE_AS_UPPER, among the layer's own cells */
	__u32 zero;
};
_Static_assert(sizeof(struct usage_mapped) == 56, "layout of mapped_files");

#define USAGE_MAPPED_BITS 20
struct usage_mapped_filter {
	__u64 words[1 << (USAGE_MAPPED_BITS - 6)];
};
#define USAGE_MAPPED_BIT(inode) ((__u64)(inode)*0x9e3779b97f4a7c15ULL >> (64 - USAGE_MAPPED_BITS))

/* A file buffer: a file by its inode number in its layer's own file system. With inode 0 it is an
 * entry of the bookkeeping: of a mount with USAGE_WHOLE_MOUNT, of a layer of a mount when accesses
 * of it were lost, and of the whole buffer with mount 0. */
#define USAGE_WHOLE_MOUNT 0xffffffffU

struct usage_file_key {
	__u64 mount_id; /* or another owner */
	__u64 inode;
	__u32 layer;
	__u32 kind; /* 0: of a file, or of the bookkeeping */
};
/* The number of a cgroup instead of an inode's: what its tasks read in the layer; the index may
 * have USAGE_UPKEEP. With USAGE_OTHER_READERS, all that found no room for themselves. */
#define USAGE_READER 1
#define USAGE_OTHER_READERS (~0ULL)
_Static_assert(sizeof(struct usage_file_key) == 24, "layout of the key of a file buffer");

struct usage_file_counts {
	union {
		__u64 opens;
		__u64 entries; /* of files: of the mount, of the whole buffer */
	};
	union {
		__u64 read_bytes;
		__u64 lost; /* accesses that found no room: of the layer, of no known layer */
	};
	union {
		__u64 last_access;
		__u64 told; /* of the whole buffer: the agent knows that it fills */
	};
	union {
		__u64 reads; /* of a reader */
		__u64 readers; /* of the mount, of the whole buffer */
		__u64 mapped_bytes; /* of a file */
	};
};
_Static_assert(sizeof(struct usage_file_counts) == 32, "layout of a file buffer");

/* upkeep_marks: a process whose reads are upkeep. */
struct usage_mark {
	__u64 start_stack; /* of the program that it executed, as in /proc/PID/stat; 0: any */
};
_Static_assert(sizeof(struct usage_mark) == 8, "layout of upkeep_marks");

/* Of upkeep_programs, instead of a generation that the file system does not tell. */
#define USAGE_ANY_GENERATION (~0U)

/* upkeep_cgroups: the state that a name leads to from the state of the names before it, 0 at the
 * root of the hierarchy. */
#define USAGE_CGROUP_DEPTH 16
#define USAGE_CGROUP_NAME_SIZE 124
struct usage_cgroup_step {
	__u32 state;
	char name[USAGE_CGROUP_NAME_SIZE]; /* zeros after its end */
};
_Static_assert(sizeof(struct usage_cgroup_step) == 128, "layout of the key of upkeep_cgroups");

struct usage_cgroup_state {
	__u32 state;
	__u32 upkeep; /* the path ends here */
};
_Static_assert(sizeof(struct usage_cgroup_state) == 8, "layout of upkeep_cgroups");

/* cgroup_names: what the path of a cgroup is made of. */
struct usage_cgroup_name {
	__u64 parent; /* 0: the hierarchy's root is above it, or it is too deep */
	char name[USAGE_CGROUP_NAME_SIZE]; /* cut when it is longer */
	__u32 zero;
};
_Static_assert(sizeof(struct usage_cgroup_name) == 136, "layout of cgroup_names");

/* task_verdicts: what a task's accesses are, as of an epoch, a program and a cgroup. */
struct usage_verdict {
	__u64 epoch, program, cgroup;
	__u32 upkeep, zero;
};
_Static_assert(sizeof(struct usage_verdict) == 32, "layout of task_verdicts");

/* usage_lost, for each CPU: what could not be counted, or not where it belongs. */
struct usage_lost_counts {
	__u64 cells;
	__u64 files;
	__u64 unplaced_changes; /* changes by a path that may lead into any of the mounts */
	__u64 uses;
	__u64 mapped; /* files whose faults are not counted */
};
_Static_assert(sizeof(struct usage_lost_counts) == 40, "layout of usage_lost");

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
