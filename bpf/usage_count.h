/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What every backend does once it knows a file and an event: find out what is credited, find its
 * cell, add. The mount is credited when the agent has registered the superblock. Otherwise the
 * layer is, if the agent watches it, in an overlay of any program.
 */
#pragma once

#include "usage_files.h"
#include "usage_foreign.h"
#include "usage_task.h"

/* What an access is credited to. */
struct credited {
	__u64 owner;
	__u32 layer; /* index among the owner's */
	__u64 superblock; /* of a layer's use: see mount_token() */
	__u64 reader; /* the number of the cgroup; of a read only */
};

/* Device numbers are reused as soon as a mount is gone; a root directory of the same inode number
 * and generation on the same device is not. */
static __always_inline bool is_identical(struct super_block *super, struct usage_slot *slot)
{
	__u64 mount = overlay_layer_mount(super, slot->flags & USAGE_SLOT_WRITABLE ? 0 : 1);
	struct inode *root = mount ? overlay_layer_root(mount) : 0;

	return root && inode_number(root) == slot->identity.inode &&
	       (inode_generation(root) == slot->identity.generation ||
		slot->flags & USAGE_SLOT_WITHOUT_GENERATION) &&
	       slot->identity.device == (slot->flags & USAGE_SLOT_SUBVOLUMES
						 ? btrfs_device(root)
						 : inode_super_device(root));
}

static __always_inline bool is_registered(struct super_block *super, struct usage_slot *slot)
{
	return slot && slot->mount_id && is_identical(super, slot) && is_active();
}

/* The watched layer that has this index in a superblock which is not registered. */
static __noinline bool find_layer(struct super_block *super, __u32 layer, struct credited *ret)
{
	__u64 mount = layer == UNKNOWN_LAYER ? 0 : overlay_layer_mount(super, layer);
	struct inode *inode = mount ? overlay_layer_root(mount) : 0;
	struct usage_layer *known = inode ? find_watch(inode) : 0;

	if (!known || !is_active())
		return 0;
	ret->owner = known->owner;
	ret->layer = layer ? USAGE_AS_LOWER : USAGE_AS_UPPER;
	ret->superblock = mount_token(mount);
	return 1;
}

/* What an access to this layer of a superblock of overlayfs credits; false: nothing of ours. */
static __always_inline bool find_credited(struct super_block *super, __u32 layer,
					  struct credited *ret)
{
	struct usage_slot *slot = slot_of(super);

	if (!is_registered(super, slot))
		return find_layer(super, layer, ret);
	if (layer == UNKNOWN_LAYER) {
		lose_cell();
		return 0;
	}
	*ret = (struct credited){ .owner = slot->mount_id, .layer = layer };
	return 1;
}

/* What the current task reads may be upkeep, which is never a use. */
static __always_inline void note_reader(struct credited *to)
{
	to->reader = current_cgroup();
	if (is_upkeep(to->reader)) {
		to->layer |= USAGE_UPKEEP;
		to->superblock = 0;
	}
}

static __noinline struct usage_counts *make_cell(struct usage_cell_key *key)
{
	struct usage_counts none = {};

	/* EEXIST: another program was faster, which is as good. */
	(void)bpf_map_update_elem(&usage_cells, key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&usage_cells, key);
}

static __always_inline struct usage_counts *find_cell(const struct credited *to)
{
	struct usage_cell_key key = { .owner = to->owner,
				      .layer = to->layer,
				      .part = bpf_get_smp_processor_id() & part_mask };
	struct usage_counts *cell = bpf_map_lookup_elem(&usage_cells, &key);

	if (!cell)
		cell = make_cell(&key);
	if (!cell)
		lose_cell();
	return cell;
}

/* A use of a layer: the first read through a superblock, and the first after each hour. */
static __noinline int count_use(struct usage_counts *cell, struct usage_use_key *key, __u64 now)
{
	__u64 *last = bpf_map_lookup_elem(&layer_uses, key);
	bool counts;

	if (last) {
		__u64 before = *last;

		counts = now - before >= USAGE_USE_EVERY_NS &&
			 __sync_val_compare_and_swap(last, before, now) == before;
	} else {
		long code = bpf_map_update_elem(&layer_uses, key, &now, BPF_NOEXIST);

		if (code && code != -EEXIST)
			lose_use();
		counts = !code;
	}
	if (counts)
		__sync_fetch_and_add(&cell->uses, 1);
	return 0;
}

static __noinline int stamp_read_tick(struct usage_counts *cell, const struct credited *to,
				      __u32 tick)
{
	struct usage_use_key key = { .owner = to->owner, .superblock = to->superblock };

	cell->read_tick = tick;
	cell->last_read = bpf_ktime_get_boot_ns();
	if (!cell->first_read)
		cell->first_read = cell->last_read;
	cell->superblock = to->superblock;
	if (to->superblock)
		count_use(cell, &key, cell->last_read);
	return 0;
}

/* Notes the time of a read. The clock is read once a tick: it costs more than all the rest. */
static __always_inline void stamp_read(struct usage_counts *cell, const struct credited *to)
{
	__u32 tick = bpf_jiffies64();

	if (cell->read_tick != tick || !cell->last_read || cell->superblock != to->superblock)
		stamp_read_tick(cell, to, tick);
}

static __noinline int stamp_write_tick(struct usage_counts *cell, __u32 tick)
{
	cell->write_tick = tick;
	cell->last_write = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline void stamp_write(struct usage_counts *cell)
{
	__u32 tick = bpf_jiffies64();

	if (cell->write_tick != tick || !cell->last_write)
		stamp_write_tick(cell, tick);
}

static __always_inline struct usage_file_key file_key(const struct credited *to, __u64 inode)
{
	return (struct usage_file_key){
		.mount_id = to->owner,
		.inode = inode,
		.layer = to->layer,
	};
}

/* A regular file of an overlay that is counted, and what serves it. */
struct counted_file {
	struct credited to;
	struct usage_counts *cell;
	struct overlay_source source;
	struct inode *inode; /* of the overlay */
	struct dentry *dentry;
};

/* The entry of a file, made at its first read; it carries the time of the cell's last read. Upkeep
 * leaves none: a file that nothing else reads is never read.
 *
 * Inlined, since the upkeep bit must be tested in the frame that has set it: the verifier of 6.1
 * takes what a function finds on its caller's stack for the only value that there can be, and
 * removes the other branch. */
static __always_inline struct usage_file_counts *
touch_entry(const struct credited *to, const struct usage_counts *cell, __u64 inode)
{
	struct usage_file_key key = file_key(to, inode);
	struct usage_file_counts *file;

	if (to->layer & USAGE_UPKEEP)
		return 0;
	file = find_file_entry(&key);
	if (file)
		file->last_access = cell->last_read;
	return file;
}

static __always_inline struct usage_file_counts *touch_file(struct counted_file *counted)
{
	struct inode *inode = overlay_source_inode(&counted->source);

	return inode ? touch_entry(&counted->to, counted->cell, inode_number(inode)) : 0;
}

/* What a reader has read of a layer: one look more for each read. */
static __noinline int count_reader(const struct credited *to, __u64 last_read, __u32 opens,
				   __u32 reads, __u64 bytes)
{
	struct usage_file_key key = {
		.mount_id = to->owner, .inode = to->reader, .layer = to->layer, .kind = USAGE_READER
	};
	struct usage_file_counts *reader = find_reader_entry(&key);
	struct usage_lost_counts *lost;

	if (!reader) {
		lost = lost_counts();
		if (lost)
			__sync_fetch_and_add(&lost->files, 1);
		return 0;
	}
	reader->last_access = last_read;
	if (opens)
		__sync_fetch_and_add(&reader->opens, 1);
	if (reads)
		__sync_fetch_and_add(&reader->reads, 1);
	if (bytes)
		__sync_fetch_and_add(&reader->read_bytes, bytes);
	return 0;
}

static __always_inline bool find_source(struct super_block *super, struct inode *inode,
					struct dentry *dentry, struct counted_file *ret)
{
	ret->inode = inode;
	ret->dentry = dentry;
	ret->source = overlay_data_source(inode, dentry);
	return find_credited(super, ret->source.layer, &ret->to);
}

/* An overlay on top of another one, of which this backend sees no calls: the file is that of the
 * lower one. There cannot be a third. */
static __noinline bool find_source_below(struct counted_file *counted)
{
	struct inode *inode = overlay_source_inode(&counted->source);
	struct super_block *super = inode ? inode_super(inode) : 0;

	return super && super_is_overlay(super) &&
	       find_source(super, inode, as_dentry(counted->source.dentry), counted);
}

static __always_inline bool find_file(struct file *file, bool reads, struct counted_file *ret)
{
	struct super_block *super;
	struct inode *inode;

	if (!file || is_foreign(file))
		return 0;
	inode = file_inode(file);
	super = inode ? inode_super(inode) : 0;
	if (!super || !super_is_overlay(super) || !inode_is_regular(inode))
		return 0;
	if (!find_source(super, inode, file_dentry(file), ret) &&
	    !(sees_top_only && find_source_below(ret)))
		return 0;
	if (reads)
		note_reader(&ret->to);
	ret->cell = find_cell(&ret->to);
	return ret->cell;
}

/* Something may have changed the size of the superblock's upper. False: no mount and no layer of
 * the agent is its upper. */
static __always_inline bool note_change_in(struct super_block *super)
{
	struct usage_counts *upper;
	struct usage_slot *slot;
	struct credited to;
	bool registered;

	if (!super || !super_is_overlay(super))
		return 0;
	slot = slot_of(super);
	registered = is_registered(super, slot);
	if (registered && !(slot->flags & USAGE_SLOT_WRITABLE))
		return 1;
	if (registered)
		to = (struct credited){ .owner = slot->mount_id };
	else if (!find_layer(super, 0, &to))
		return 0;
	upper = find_cell(&to);
	if (upper)
		add(&upper->upper_changes, 1);
	return 1;
}

static __noinline int note_change_of(struct file *file)
{
	struct inode *inode = file ? file_inode(file) : 0;

	if (inode)
		note_change_in(inode_super(inode));
	return 0;
}

/* The same for a file whose cell is known: what is open for writing is in the upper. */
static __always_inline void note_change_by(struct counted_file *counted)
{
	if (!counted->source.layer && !(counted->to.layer & USAGE_UPKEEP))
		add(&counted->cell->upper_changes, 1);
	else
		note_change_in(inode_super(counted->inode));
}

/* A file that is made, or open only for writing, has not been read: it has no entry, so that
 * filling a layer does not fill the map. */
static __always_inline bool opens_for_reading(__u32 mode)
{
	return mode & FMODE_READ && !(mode & FMODE_CREATED);
}

static __always_inline void count_open(struct counted_file *counted, __u32 mode)
{
	struct usage_file_counts *file;

	add(&counted->cell->opens, 1);
	if (!opens_for_reading(mode))
		return;
	add(&counted->cell->read_opens, 1);
	stamp_read(counted->cell, &counted->to);
	count_reader(&counted->to, counted->cell->last_read, 1, 0, 0);
	file = touch_file(counted);
	if (file)
		__sync_fetch_and_add(&file->opens, 1);
}

static __always_inline void count_exec(struct counted_file *counted)
{
	add(&counted->cell->execs, 1);
}

static __noinline int count_read(struct file *file, __u64 bytes)
{
	struct usage_file_counts *counts;
	struct counted_file counted;

	if (!find_file(file, 1, &counted))
		return 0;
	add(&counted.cell->reads, 1);
	add(&counted.cell->read_bytes, bytes);
	stamp_read(counted.cell, &counted.to);
	count_reader(&counted.to, counted.cell->last_read, 0, 1, bytes);
	counts = touch_file(&counted);
	if (counts && bytes)
		__sync_fetch_and_add(&counts->read_bytes, bytes);
	return 0;
}

static __noinline int count_write(struct file *file, __u64 bytes)
{
	struct counted_file counted;

	if (!find_file(file, 0, &counted))
		return 0;
	add(&counted.cell->writes, 1);
	add(&counted.cell->written_bytes, bytes);
	stamp_write(counted.cell);
	note_change_by(&counted);
	return 0;
}
