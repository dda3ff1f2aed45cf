/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Reads kernel memory in one of two ways. A field of an object whose type the verifier knows costs
 * one load; elsewhere it costs a call of bpf_probe_read_kernel(). The verifier knows the types of
 * what a function's hook is passed and of all that is followed from there, and, where the kernel
 * has bpf_rdonly_cast() (6.2), of what was found by its address. The knobs are constant when the
 * verifier sees them, so that the way not taken is cut out and need not even exist.
 */
#pragma once

#include "kernel_types.h"

/* All are set before the programs are loaded. */
const volatile bool typed_loads_knob = 0; /* of what was found by its address */
const volatile bool direct_loads_knob = 0; /* of what was followed from a hook's arguments */
/* A counter may change between its load and its store: the programs are preemptible (fexit), or
 * several processors share a cell. */
const volatile bool atomic_knob = 0;

/* A volatile is read again at each use, and the verifier leaves those instructions in. Assembly
 * without side effects is merged: one read in a function. */
static __always_inline bool read_knob(const volatile bool *knob)
{
	__u64 value;

	asm("%0 = *(u8 *)(%1 + 0)" : "=r"(value) : "r"(knob));
	return value;
}

#define typed_loads read_knob(&typed_loads_knob)
#define direct_loads read_knob(&direct_loads_knob)
#define atomic read_knob(&atomic_knob)

void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

/* For fields of types that may live in a module, which bpf_rdonly_cast() does not know. */
static __always_inline __u64 load_word(const void *address)
{
	__u64 word;

	if (typed_loads)
		return ((struct rb_node *)bpf_rdonly_cast(address,
							  bpf_core_type_id_kernel(struct rb_node)))
			->__rb_parent_color;
	bpf_probe_read_kernel(&word, sizeof(word), address);
	return word;
}

/* Two words that follow each other. */
static __always_inline void load_words(const void *address, __u64 ret_words[2])
{
	struct timespec64 *words;

	if (!typed_loads) {
		bpf_probe_read_kernel(ret_words, 2 * sizeof(*ret_words), address);
		return;
	}
	words = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct timespec64));
	ret_words[0] = words->tv_sec;
	ret_words[1] = words->tv_nsec;
}

/* The as_ functions turn a bare address into a pointer that typed loads may follow. */

static __always_inline struct file *as_file(__u64 address)
{
	if (typed_loads)
		return bpf_rdonly_cast((void *)address, bpf_core_type_id_kernel(struct file));
	return (struct file *)address;
}

static __always_inline struct dentry *as_dentry(__u64 address)
{
	if (typed_loads)
		return bpf_rdonly_cast((void *)address, bpf_core_type_id_kernel(struct dentry));
	return (struct dentry *)address;
}

static __always_inline struct vfsmount *as_mount(__u64 address)
{
	if (typed_loads)
		return bpf_rdonly_cast((void *)address, bpf_core_type_id_kernel(struct vfsmount));
	return (struct vfsmount *)address;
}

static __always_inline struct io_kiocb *as_request(void *address)
{
	if (typed_loads)
		return bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct io_kiocb));
	return address;
}

/* The same pointer, for reading alone: each load from one that the verifier trusts, as from a
 * hook's arguments, costs it a search through all the types of the kernel. */
#define for_reading(pointer, type) \
	(typed_loads ? (type *)bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)) : (pointer))

static __always_inline struct task_struct *current_task(void)
{
	return for_reading(bpf_get_current_task_btf(), struct task_struct);
}

/* ---- of what was followed from a hook's arguments ---- */

#define follow(object, field) (direct_loads ? (object)->field : BPF_CORE_READ(object, field))

static __always_inline struct inode *file_inode(struct file *file)
{
	return follow(file, f_inode);
}

static __always_inline struct dentry *file_dentry(struct file *file)
{
	return follow(file, f_path.dentry);
}

static __always_inline struct vfsmount *file_mount(struct file *file)
{
	return follow(file, f_path.mnt);
}

static __always_inline __u32 file_mode(struct file *file)
{
	return follow(file, f_mode);
}

static __always_inline __u32 file_flags(struct file *file)
{
	return follow(file, f_flags);
}

static __always_inline struct super_block *inode_super(struct inode *inode)
{
	return follow(inode, i_sb);
}

static __always_inline bool inode_is_regular(struct inode *inode)
{
	__u32 mode = follow(inode, i_mode);

	return (mode & S_IFMT) == S_IFREG;
}

static __always_inline struct inode *dentry_inode(struct dentry *dentry)
{
	return follow(dentry, d_inode);
}

static __always_inline struct super_block *dentry_super(struct dentry *dentry)
{
	return follow(dentry, d_sb);
}

static __always_inline __u32 super_device(struct super_block *super)
{
	return follow(super, s_dev);
}

static __always_inline bool super_is_overlay(struct super_block *super)
{
	return follow(super, s_magic) == OVERLAYFS_SUPER_MAGIC;
}

static __always_inline void *super_private(struct super_block *super)
{
	return follow(super, s_fs_info);
}

/* ---- of what was found by its address: the inodes and dentries of layers ---- */

#define found(object, field) (typed_loads ? (object)->field : BPF_CORE_READ(object, field))

static __always_inline struct inode *found_inode(struct dentry *dentry)
{
	return found(dentry, d_inode);
}

static __always_inline struct super_block *found_super(struct inode *inode)
{
	return found(inode, i_sb);
}

static __always_inline __u64 found_magic(struct super_block *super)
{
	return found(super, s_magic);
}

static __always_inline __u64 inode_number(struct inode *inode)
{
	return found(inode, i_ino);
}

static __always_inline __u32 inode_generation(struct inode *inode)
{
	return found(inode, i_generation);
}

static __always_inline __u64 inode_size(struct inode *inode)
{
	return found(inode, i_size);
}

/* The number that stat(2) shows for inodes of btrfs: they are unique within a subvolume only. 0
 * where the kernel's types say nothing of btrfs: that is not the number of any inode. */
static __noinline __u32 btrfs_device(struct inode *inode)
{
	void *root;

	if (!bpf_core_field_exists(struct btrfs_inode, root))
		return 0;
	root = (void *)load_word((void *)inode -
				 bpf_core_field_offset(struct btrfs_inode, vfs_inode) +
				 bpf_core_field_offset(struct btrfs_inode, root));
	return root ? load_word(root + bpf_core_field_offset(struct btrfs_root, anon_dev)) : 0;
}

/* The number of the superblock, which is not that of stat(2) on btrfs. */
static __always_inline __u32 inode_super_device(struct inode *inode)
{
	struct super_block *super = found_super(inode);

	return found(super, s_dev);
}

static __always_inline __u32 inode_device(struct inode *inode)
{
	struct super_block *super = found_super(inode);

	return found_magic(super) == BTRFS_SUPER_MAGIC ? btrfs_device(inode) : found(super, s_dev);
}
