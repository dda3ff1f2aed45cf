/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Mounts that have no layer of ours, as those of disks, or of another container engine: what was
 * found out about one is noted, so that the next access through it costs one lookup. A verdict
 * names the mount by its id, which the kernel never uses again (since 6.8; before that there are no
 * verdicts), and the epoch, which ends when a layer or a mount has been added to those that are
 * counted. So neither an address or a device number that is used again, nor a layer that is watched
 * later, can meet a verdict that is not its own.
 */
#pragma once

#include "usage_maps.h"

/* Two mounts may share a place: then each overwrites the verdict on the other. The name after
 * ".data." is that of a map: the programs need no lookup to find it. */
struct usage_mount_verdicts mount_verdicts SEC(".data.mount_verdicts");

/* Since 6.8. */
static __always_inline __u64 unique_mount_id(__u64 mount)
{
	void *containing = (void *)mount - bpf_core_field_offset(struct mount, mnt);

	return load_word(containing + bpf_core_field_offset(struct mount, mnt_id_unique));
}

/* The id of a mount, which is never used again. Before 6.8 its address, which the next mount may
 * get. */
static __always_inline __u64 mount_token(__u64 mount)
{
	return bpf_core_field_exists(struct mount, mnt_id_unique) ? unique_mount_id(mount) : mount;
}

/* The slot of a superblock's device number; NULL when the number is too large. */
static __always_inline struct usage_slot *slot_of(struct super_block *super)
{
	__u32 device = super_device(super);

	return bpf_map_lookup_elem(&mount_by_minor, &device);
}

static __always_inline bool may_be_watched(const struct usage_root *root)
{
	__u64 bit = USAGE_FILTER_BIT(root);
	__u32 word = bit >> 6;
	__u64 *bits = bpf_map_lookup_elem(&root_filter, &word);

	return bits && *bits & 1ULL << (bit & 63);
}

/* The watch of a layer, by its root; NULL when there is none. */
static __always_inline struct usage_layer *find_watch(struct inode *inode)
{
	struct usage_root root = { .inode = inode_number(inode), .device = inode_device(inode) };

	if (!may_be_watched(&root))
		return 0;
	root.generation = inode_generation(inode);
	return bpf_map_lookup_elem(&layer_by_root, &root);
}

struct judging {
	void *layers;
	bool foreign;
};

/* A layer that is in an overlay itself may be one of ours by that overlay's layers. */
static long judge_layer(__u32 index, struct judging *judging)
{
	__u64 mount = load_word(judging->layers + index * bpf_core_type_size(struct ovl_layer) +
				bpf_core_field_offset(struct ovl_layer, mnt));
	struct inode *inode = mount ? overlay_layer_root(mount) : 0;

	if (!inode)
		return 0;
	judging->foreign = found_magic(found_super(inode)) != OVERLAYFS_SUPER_MAGIC &&
			   !find_watch(inode);
	return !judging->foreign;
}

static __always_inline bool judge_overlay(struct super_block *super)
{
	void *overlay = super_private(super);
	struct judging judging = {
		.layers = (void *)load_word(overlay + bpf_core_field_offset(struct ovl_fs, layers)),
		.foreign = 1,
	};
	/* bpf_loop() takes the whole register: what follows the count must not be in it. */
	__u32 count = load_word(overlay + bpf_core_field_offset(struct ovl_fs, numlayer)) & 0xffff;
	struct usage_slot *slot = slot_of(super);

	if ((slot && slot->mount_id) || bpf_loop(count, judge_layer, &judging, 0) < 0)
		return 0;
	return judging.foreign;
}

static __noinline int note_verdict(struct file *file, __u64 token)
{
	struct inode *inode = file_inode(file);
	struct super_block *super = inode ? inode_super(inode) : 0;
	bool foreign;
	__u64 epoch;

	if (!super)
		return 0;
	epoch = __sync_fetch_and_add(&mount_verdicts.epoch, 0); /* what follows happens later */
	if (epoch >= USAGE_EPOCH_MAX)
		return 0;
	foreign = !super_is_overlay(super) || judge_overlay(super);
	mount_verdicts.by_mount[token % USAGE_MOUNT_VERDICTS] =
		USAGE_MOUNT_VERDICT(token, epoch, foreign);
	return foreign;
}

/* Whether nothing that is done through the file's mount is counted. The superblock is the mount's,
 * since files no longer carry the path of another one (6.6). */
static __always_inline bool is_foreign(struct file *file)
{
	__u64 token, verdict;

	if (!bpf_core_field_exists(struct mount, mnt_id_unique))
		return 0;
	token = unique_mount_id((__u64)file_mount(file));
	verdict = mount_verdicts.by_mount[token % USAGE_MOUNT_VERDICTS];
	if (verdict >> 1 == USAGE_MOUNT_VERDICT(token, mount_verdicts.epoch, 0) >> 1)
		return verdict & 1;
	return note_verdict(file, token);
}
