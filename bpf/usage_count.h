/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The maps, and what every backend does once it knows a file and an event: find the mount, make
 * sure that it is the one that was registered, find the layer's cell, add.
 */
#pragma once

#include "overlay_inode.h"
#include "usage_shared.h"

/* Full: the mount is refused by userspace, which counts that itself. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct usage_slot);
} mount_by_device SEC(".maps");

/* Key: slot->first_cell + layer. Full: the mount has no cells, each access adds to lost.cells. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct usage_counts);
} usage_cells SEC(".maps");

/* Full: each access of a file that has no entry yet adds to lost.files. Never LRU: an entry that
 * makes room for another would be lost without a trace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct usage_file_key);
	__type(value, struct usage_file_counts);
} usage_files SEC(".maps");

/* One entry. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct usage_lost_counts);
} usage_lost SEC(".maps");

/* One entry: the generation of programs that counts on this CPU; userspace writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} active_generation SEC(".maps");

/* One entry, of no interest to the programs: see struct usage_build. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct usage_build);
} usage_build SEC(".maps");

const volatile __u32 generation = 0;

static __always_inline void add(__u64 *counter, __u64 amount)
{
	if (preemptible)
		__sync_fetch_and_add(counter, amount);
	else
		*counter += amount;
}

static __always_inline struct usage_lost_counts *lost_counts(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&usage_lost, &zero);
}

/* What is seldom needed is a function of its own, out of the way of each read. */
static __noinline int lose_cell(void)
{
	struct usage_lost_counts *lost = lost_counts();

	if (lost)
		add(&lost->cells, 1);
	return 0;
}

static __noinline int lose_file(void)
{
	struct usage_lost_counts *lost = lost_counts();

	if (lost)
		add(&lost->files, 1);
	return 0;
}

static __always_inline void note_unplaced_change(void)
{
	struct usage_lost_counts *lost = lost_counts();

	if (lost)
		add(&lost->unplaced_changes, 1);
}

/* While an upgrade has old and new programs attached, exactly one of them counts on a CPU. */
static __always_inline bool is_active(void)
{
	__u32 zero = 0;
	__u64 *active = bpf_map_lookup_elem(&active_generation, &zero);

	return active && *active == generation;
}

/* Device numbers are reused as soon as a mount is gone; a root directory of the same inode number
 * on the same device is not. */
static __always_inline bool is_identical(struct super_block *super, struct usage_slot *slot)
{
	struct inode *root = overlay_layer_root(super, slot->writable ? 0 : 1);

	return root && inode_number(root) == slot->identity_inode &&
	       (!slot->identity_device || super_device(inode_super(root)) == slot->identity_device);
}

/* The mount to be credited; NULL when this superblock is not registered. */
static __always_inline struct usage_slot *find_slot(struct super_block *super)
{
	struct usage_slot *slot;
	__u32 device;

	if (!super || !super_is_overlay(super))
		return 0;
	device = super_device(super);
	slot = bpf_map_lookup_elem(&mount_by_device, &device);
	if (!slot || !is_identical(super, slot) || !is_active())
		return 0;
	return slot;
}

static __always_inline struct usage_counts *find_cell(struct usage_slot *slot, __u32 layer)
{
	__u32 index = slot->first_cell + layer;
	struct usage_counts *cell = 0;

	if (layer < slot->layer_count && slot->first_cell != USAGE_NO_CELL)
		cell = bpf_map_lookup_elem(&usage_cells, &index);
	if (cell && cell->mount_id == slot->mount_id)
		return cell;
	lose_cell();
	return 0;
}

static __noinline int stamp_tick(struct usage_counts *cell, __u32 tick)
{
	cell->last_tick = tick;
	cell->last_access = bpf_ktime_get_boot_ns();
	if (!cell->first_access)
		cell->first_access = cell->last_access;
	return 0;
}

/* Notes the time of an access. The clock is read once a tick: it costs more than all the rest. */
static __always_inline void stamp(struct usage_counts *cell)
{
	__u32 tick = bpf_jiffies64();

	if (cell->last_tick != tick || !cell->last_access)
		stamp_tick(cell, tick);
}

static __noinline struct usage_file_counts *make_file_entry(struct usage_file_key *key)
{
	struct usage_file_counts none = {};

	/* EEXIST: another CPU was faster, which is as good. */
	(void)bpf_map_update_elem(&usage_files, key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&usage_files, key);
}

/* The entry of a file, made at its first access; it carries the time of the cell's access. */
static __always_inline struct usage_file_counts *
touch_file(struct usage_slot *slot, struct usage_counts *cell, struct overlay_source *source)
{
	struct usage_file_key key = {
		.mount_id = slot->mount_id,
		.inode = source->inode,
		.layer = source->layer,
	};
	struct usage_file_counts *file;

	if (!source->inode)
		return 0;
	file = bpf_map_lookup_elem(&usage_files, &key);
	if (!file)
		file = make_file_entry(&key);
	if (file)
		file->last_access = cell->last_access;
	else
		lose_file();
	return file;
}

/* A regular file of a registered mount, and what serves it. */
struct counted_file {
	struct usage_slot *slot;
	struct usage_counts *cell;
	struct overlay_source source;
	struct inode *inode;
	struct dentry *dentry;
};

static __always_inline bool find_file(struct file *file, struct counted_file *ret)
{
	if (!file)
		return 0;
	ret->inode = file_inode(file);
	if (!ret->inode)
		return 0;
	ret->slot = find_slot(inode_super(ret->inode));
	if (!ret->slot || !inode_is_regular(ret->inode))
		return 0;
	ret->dentry = file_dentry(file);
	ret->source = overlay_data_source(ret->inode, ret->dentry);
	ret->cell = find_cell(ret->slot, ret->source.layer);
	return ret->cell;
}

static __always_inline void note_upper_change(struct usage_slot *slot)
{
	struct usage_counts *upper;

	if (!slot->writable)
		return;
	upper = find_cell(slot, 0);
	if (upper)
		add(&upper->upper_changes, 1);
}

static __always_inline void note_change_in(struct super_block *super)
{
	struct usage_slot *slot = find_slot(super);

	if (slot)
		note_upper_change(slot);
}

static __noinline int note_change_of(struct file *file)
{
	struct inode *inode = file ? file_inode(file) : 0;

	if (inode)
		note_change_in(inode_super(inode));
	return 0;
}

/* A file that is only written has no entry: filling a layer must not fill the map, and nobody has
 * read the file yet. */
static __always_inline void count_open(struct counted_file *counted, __u32 mode)
{
	struct usage_file_counts *file;

	add(&counted->cell->opens, 1);
	stamp(counted->cell);
	if (!(mode & FMODE_READ))
		return;
	file = touch_file(counted->slot, counted->cell, &counted->source);
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

	if (!find_file(file, &counted))
		return 0;
	add(&counted.cell->reads, 1);
	add(&counted.cell->read_bytes, bytes);
	stamp(counted.cell);
	counts = touch_file(counted.slot, counted.cell, &counted.source);
	if (counts && bytes)
		__sync_fetch_and_add(&counts->read_bytes, bytes);
	return 0;
}

static __noinline int count_write(struct file *file, __u64 bytes)
{
	struct counted_file counted;

	if (!find_file(file, &counted))
		return 0;
	add(&counted.cell->writes, 1);
	add(&counted.cell->written_bytes, bytes);
	stamp(counted.cell);
	note_upper_change(counted.slot);
	return 0;
}

/* A mapping of a file counts once; what is read through it later does not. */
static __noinline int count_mmap(struct file *file, bool shared)
{
	struct counted_file counted;

	if (!find_file(file, &counted))
		return 0;
	add(&counted.cell->mmaps, 1);
	stamp(counted.cell);
	(void)touch_file(counted.slot, counted.cell, &counted.source);
	if (shared && file_mode(file) & FMODE_WRITE)
		note_upper_change(counted.slot);
	return 0;
}
