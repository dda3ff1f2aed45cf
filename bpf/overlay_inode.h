/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which layer serves an inode of overlayfs. The upper is layer 0, the lowers count from 1 at the
 * top. Correct for files copied up, for metacopy files (their data is in the last lower of their
 * stack) and for files that a second overlay on top of ours opened.
 */
#pragma once

#include "kernel_read.h"

#define UNKNOWN_LAYER 0xffffffffU

struct overlay_source {
	__u32 layer;
	__u64 dentry; /* address of the one in the layer's own file system; 0: not known */
};

static __always_inline void *overlay_inode(struct inode *inode)
{
	return (void *)inode - bpf_core_field_offset(struct ovl_inode, vfs_inode);
}

static __always_inline __u64 overlay_upper_dentry(struct inode *inode)
{
	return load_word(overlay_inode(inode) +
			 bpf_core_field_offset(struct ovl_inode, __upperdentry));
}

static __always_inline bool overlay_has_upper_data(struct inode *inode)
{
	__u64 flags =
		load_word(overlay_inode(inode) + bpf_core_field_offset(struct ovl_inode, flags));

	return flags & 1UL << bpf_core_enum_value(enum ovl_inode_flag, OVL_UPPERDATA);
}

/* The address of the first or last struct ovl_path in a stack of lowers; 0 when it is empty. */
static __always_inline void *overlay_stack_end(void *stack, __u32 count, bool last)
{
	if (!count)
		return 0;
	return last ? stack + (__u64)(count - 1) * bpf_core_type_size(struct ovl_path) : stack;
}

static __always_inline void *overlay_lower_before_6_5(struct inode *inode, struct dentry *dentry,
						      bool last)
{
	void *entry;

	/* The dentry knows the whole stack, but must be ours: the real file of an overlay stacked
	 * on this one carries that overlay's path. */
	if (last && dentry && dentry_super(dentry) == inode_super(inode)) {
		entry = follow(dentry, d_fsdata);
		if (!entry)
			return 0;
		return overlay_stack_end(
			entry + bpf_core_field_offset(struct ovl_entry___before_6_5, lowerstack),
			load_word(entry +
				  bpf_core_field_offset(struct ovl_entry___before_6_5, numlower)),
			last);
	}
	return overlay_inode(inode) +
	       bpf_core_field_offset(struct ovl_inode___before_6_5, lowerpath);
}

/* The address of the struct ovl_path of the first or the last lower that has this inode. `dentry`
 * may be NULL. */
static __always_inline void *overlay_lower(struct inode *inode, struct dentry *dentry, bool last)
{
	void *entry;

	if (!bpf_core_field_exists(struct ovl_inode, oe))
		return overlay_lower_before_6_5(inode, dentry, last);
	entry = (void *)load_word(overlay_inode(inode) +
				  bpf_core_field_offset(struct ovl_inode, oe));
	if (!entry)
		return 0;
	return overlay_stack_end(
		entry + bpf_core_field_offset(struct ovl_entry, __lowerstack),
		load_word(entry + bpf_core_field_offset(struct ovl_entry, __numlower)), last);
}

static __always_inline __u32 overlay_lower_layer(void *lower)
{
	__u64 layer = 0;

	if (lower)
		layer = load_word(lower + bpf_core_field_offset(struct ovl_path, layer));
	if (!layer)
		return UNKNOWN_LAYER;
	return load_word((void *)layer + bpf_core_field_offset(struct ovl_layer, idx));
}

/* Where the data of a regular file comes from. The two fields of struct ovl_path are read at once.
 */
static __always_inline struct overlay_source overlay_data_source(struct inode *inode,
								 struct dentry *dentry)
{
	__u64 upper = overlay_upper_dentry(inode), path[2];
	struct overlay_source source = { .layer = UNKNOWN_LAYER };
	void *lower;

	if (upper && overlay_has_upper_data(inode))
		return (struct overlay_source){ .layer = 0, .dentry = upper };
	lower = overlay_lower(inode, dentry, 1);
	if (!lower)
		return source;
	load_words(lower, path);
	if (!path[0])
		return source;
	source.layer = load_word((void *)path[0] + bpf_core_field_offset(struct ovl_layer, idx));
	source.dentry = path[1];
	return source;
}

/* The inode in the layer's own file system; NULL when it is not known. */
static __always_inline struct inode *overlay_source_inode(const struct overlay_source *source)
{
	return source->dentry ? found_inode(as_dentry(source->dentry)) : 0;
}

/* Where the attributes of any inode come from: for a merged directory its top-most layer. */
static __always_inline __u32 overlay_attribute_layer(struct inode *inode, struct dentry *dentry)
{
	return overlay_upper_dentry(inode) ? 0
					   : overlay_lower_layer(overlay_lower(inode, dentry, 0));
}

/* The address of a layer's mount within the superblock; 0: it has no such layer, as a read-only
 * overlay has no upper. */
static __always_inline __u64 overlay_layer_mount(struct super_block *super, __u32 layer)
{
	void *layers = (void *)load_word(super_private(super) +
					 bpf_core_field_offset(struct ovl_fs, layers));

	return load_word(layers + layer * bpf_core_type_size(struct ovl_layer) +
			 bpf_core_field_offset(struct ovl_layer, mnt));
}

/* The root inode of a layer as its mount knows it. */
static __always_inline struct inode *overlay_layer_root(__u64 mount)
{
	struct vfsmount *vfsmount = as_mount(mount);
	struct dentry *root = found(vfsmount, mnt_root);

	return found_inode(root);
}
