/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The fields of kernel structures that we read, and nothing else: libbpf relocates each of them
 * to where the running kernel has it. Former shapes have ___ names with the version that ended
 * them. Overlay types may come from the module's own BTF.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef _Bool bool;

#define relocated __attribute__((preserve_access_index))

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	void *s_fs_info;
} relocated;

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	long long i_size;
	__u32 i_generation;
} relocated;

struct dentry {
	struct inode *d_inode;
	struct super_block *d_sb;
	void *d_fsdata;
} relocated;

struct vfsmount {
	struct dentry *mnt_root;
} relocated;

struct mount {
	struct vfsmount mnt;
	__u64 mnt_id_unique; /* since 6.8; never used twice */
} relocated;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} relocated;

struct file {
	unsigned int f_mode;
	unsigned int f_flags;
	struct inode *f_inode;
	struct path f_path;
} relocated;

struct kiocb {
	struct file *ki_filp;
} relocated;

struct vm_area_struct {
	unsigned long vm_flags;
	struct file *vm_file;
} relocated;

struct vm_fault {
	struct vm_area_struct *vma;
} relocated;

struct address_space {
	struct inode *host;
} relocated;

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} relocated;

struct files_struct {
	struct fdtable *fdt;
} relocated;

struct fs_struct {
	struct path root, pwd;
} relocated;

struct thread_info {
	unsigned long flags;
	__u32 status;
} relocated;

struct cred {
	struct {
		__u32 val;
	} fsuid;
} relocated;

struct mm_struct {
	unsigned long start_stack; /* random: another one after each exec */
	struct file *exe_file;
} relocated;

struct kernfs_node {
	__u64 id;
	const char *name;
} relocated;

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[0]; /* itself included; since 6.1 */
} relocated;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
} relocated;

struct css_set {
	struct cgroup_subsys_state *subsys[0];
	struct cgroup *dfl_cgrp; /* of cgroup v2 */
} relocated;

enum cgroup_subsys_id {
	memory_cgrp_id = 4,
};

struct task_struct {
	struct mm_struct *mm;
	struct thread_info thread_info;
	struct files_struct *files;
	struct fs_struct *fs;
	const struct cred *cred;
	struct css_set *cgroups;
	struct task_struct *group_leader;
	__u64 self_exec_id; /* another one after each exec */
} relocated;

struct linux_binprm {
	struct file *file;
} relocated;

/* Where `file` is, the operation's own data begins: struct io_open, struct io_splice. */
struct io_kiocb {
	struct file *file;
	__u8 opcode;
} relocated;

struct open_how {
	__u64 flags;
} relocated;

struct io_open {
	__u32 file_slot; /* 0: a descriptor; else the number of a slot plus one, or ~0 for any */
	struct open_how how;
} relocated;

struct io_splice {
	int splice_fd_in;
	unsigned int flags;
} relocated;

/* Of a change by path: the folder that a relative path starts from. */
struct io_unlink {
	int dfd;
} relocated;

struct io_mkdir {
	int dfd;
} relocated;

struct io_rename {
	int new_dfd;
} relocated;

struct io_link {
	int new_dfd;
} relocated;

struct io_rsrc_node {
	unsigned long file_ptr;
} relocated;

struct io_rsrc_data {
	unsigned int nr;
	struct io_rsrc_node **nodes;
} relocated;

struct io_file_table {
	struct io_rsrc_data data;
} relocated;

struct io_ring_ctx {
	struct io_file_table file_table;
} relocated;

/* Before 6.13 (3597f2786b68 "io_uring/rsrc: unify file and buffer resource tables"). */
struct io_fixed_file___before_6_13 {
	unsigned long file_ptr;
} relocated;

struct io_file_table___before_6_13 {
	struct io_fixed_file___before_6_13 *files;
} relocated;

struct io_ring_ctx___before_6_13 {
	struct io_file_table___before_6_13 file_table;
	unsigned int nr_user_files;
} relocated;

struct io_uring_cqe {
	__s32 res;
} relocated;

/* Only there to name one unsigned long in memory: see load_word(). Not relocated, since it is the
 * first field. */
struct rb_node {
	unsigned long __rb_parent_color;
};

/* Likewise two: see load_words(). */
struct timespec64 {
	long long tv_sec;
	long tv_nsec;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, r10, r8, orig_ax;
} relocated;
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	unsigned long regs[31];
	unsigned long orig_x0;
	__s32 syscallno;
} relocated;
#endif

struct seq_file;
struct bpf_map;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 seq_num;
} relocated;

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} relocated;

/* ---- btrfs, whose types may come from the module's own BTF, or not at all ---- */

struct btrfs_root {
	__u32 anon_dev;
} relocated;

struct btrfs_inode {
	struct btrfs_root *root;
	struct inode vfs_inode;
} relocated;

/* ---- overlayfs ---- */

struct ovl_layer {
	struct vfsmount *mnt;
	int idx;
} relocated;

struct ovl_fs {
	unsigned int numlayer;
	struct ovl_layer *layers;
} relocated;

struct ovl_path {
	const struct ovl_layer *layer;
	struct dentry *dentry;
} relocated;

struct ovl_entry {
	unsigned int __numlower;
	struct ovl_path __lowerstack[0];
} relocated;

struct ovl_inode {
	unsigned long flags;
	struct inode vfs_inode;
	struct dentry *__upperdentry;
	struct ovl_entry *oe;
} relocated;

/* Before 6.5 (0af950f57fef "ovl: move ovl_entry into ovl_inode") the stack hung on the dentry, and
 * the inode had its first entry only. */
struct ovl_entry___before_6_5 {
	unsigned int numlower;
	struct ovl_path lowerstack[0];
} relocated;

struct ovl_inode___before_6_5 {
	struct ovl_path lowerpath;
} relocated;

enum ovl_inode_flag {
	OVL_UPPERDATA = 3,
};

/* ---- constants that are no part of BTF ---- */

#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define BTRFS_SUPER_MAGIC 0x9123683e
#define S_IFMT 0170000
#define S_IFREG 0100000
#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_EXEC 0x20 /* also in f_flags, as __FMODE_EXEC */
#define FMODE_PATH 0x4000
#define FMODE_CREATED 0x100000
#define VM_SHARED 0x8
#define VM_FAULT_WITHOUT_PAGE 0x443 /* OOM, SIGBUS, SIGSEGV, RETRY */
#define EEXIST 17
#define EIOCBQUEUED 529
#define IORING_FILE_INDEX_ALLOC (~0U)
#define IO_URING_SLOT_FLAGS 7UL /* low bits of a slot's pointer to its file */
#define SPLICE_F_FD_IN_FIXED (1U << 31)
#define MAX_ERRNO 4095
