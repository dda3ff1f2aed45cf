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

/* These programs empty the slot of a superblock that ends. */
const volatile bool sees_ends_knob = 0;
#define sees_ends read_knob(&sees_ends_knob)

/* What the flags of a slot have once the superblock has been compared with its identity: a digest
 * of the superblock's address and of the generation of programs that has compared them. These have
 * been attached ever since, so that the slot would have been emptied if the superblock had ended.
 * It is not 0: the lowest bit is the generation's, because superblocks are larger than 1024 bytes
 * and aligned to their size. */
static __always_inline __u32 compared_mark(const struct super_block *super)
{
	__u32 address;

	/* The verifier lets no shift be done with a pointer, but takes this for an unknown number.
	 */
	asm("%0 = %1" : "=w"(address) : "w"((__u32)(__u64)super));
	return address << (USAGE_SLOT_COMPARED_SHIFT - 6) ^ generation_mark;
}

static __noinline bool compare_slot(struct super_block *super, struct usage_slot *slot, __u32 mark)
{
	__u32 flags = slot->flags & ((1 << USAGE_SLOT_COMPARED_SHIFT) - 1);

	if (!is_identical(super, slot))
		return 0;
	slot->flags = flags | (mark & ~((1 << USAGE_SLOT_COMPARED_SHIFT) - 1));
	return 1;
}

static __always_inline bool is_same_super(struct super_block *super, struct usage_slot *slot)
{
	__u32 mark;

	if (!sees_ends)
		return is_identical(super, slot);
	mark = compared_mark(super);
	if (slot->flags >> USAGE_SLOT_COMPARED_SHIFT == mark >> USAGE_SLOT_COMPARED_SHIFT)
		return 1;
	return compare_slot(super, slot, mark);
}

static __always_inline bool is_registered(struct super_block *super, struct usage_slot *slot)
{
	return slot && slot->mount_id && is_same_super(super, slot) && is_active();
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
	struct credited watched;

	if (!is_registered(super, slot)) {
		/* Of its own, so that the compiler keeps the other case in registers. */
		if (!find_layer(super, layer, &watched))
			return 0;
		*ret = watched;
		return 1;
	}
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
	struct usage_counts none = {}, *cell;

	/* EEXIST: another program was faster, which is as good. */
	(void)bpf_map_update_elem(&usage_cells, key, &none, BPF_NOEXIST);
	cell = bpf_map_lookup_elem(&usage_cells, key);
	if (!cell)
		lose_cell();
	return cell;
}

/* For what notes its time in the cell, and so touches the owner: once a tick is enough, because the
 * agent reads the cells of an owner again after a while. */
static __always_inline struct usage_counts *find_stamped_cell(const struct credited *to)
{
	struct usage_cell_key key = { .owner = to->owner,
				      .layer = to->layer,
				      .part = bpf_get_smp_processor_id() & part_mask };
	struct usage_counts *cell = bpf_map_lookup_elem(&usage_cells, &key);

	return cell ? cell : make_cell(&key);
}

static __always_inline struct usage_counts *find_cell(const struct credited *to)
{
	touch_owner(to->owner);
	return find_stamped_cell(to);
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

static __noinline int stamp_read_tick(struct usage_counts *cell, __u64 owner, __u64 superblock,
				      __u32 tick)
{
	struct usage_use_key key = { .owner = owner, .superblock = superblock };

	touch_owner(owner);
	cell->read_tick = tick;
	cell->last_read = bpf_ktime_get_boot_ns();
	if (!cell->first_read)
		cell->first_read = cell->last_read;
	cell->superblock = superblock;
	if (superblock)
		count_use(cell, &key, cell->last_read);
	return 0;
}

/* Notes the time of a read. The clock is read once a tick: it costs more than all the rest. */
static __always_inline void stamp_read(struct usage_counts *cell, const struct credited *to)
{
	__u32 tick = bpf_jiffies64();

	if (cell->read_tick != tick || !cell->last_read || cell->superblock != to->superblock)
		stamp_read_tick(cell, to->owner, to->superblock, tick);
}

static __noinline int stamp_write_tick(struct usage_counts *cell, __u64 owner, __u32 tick)
{
	touch_owner(owner);
	cell->write_tick = tick;
	cell->last_write = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline void stamp_write(struct usage_counts *cell, __u64 owner)
{
	__u32 tick = bpf_jiffies64();

	if (cell->write_tick != tick || !cell->last_write)
		stamp_write_tick(cell, owner, tick);
}

/* A regular file of an overlay that is counted, and what serves it. */
struct counted_file {
	struct credited to;
	struct usage_counts *cell;
	struct overlay_source source;
	struct inode *inode; /* of the overlay */
	struct dentry *dentry;
};

/* What is new in the entries of a reader and of a file. */
struct read_counts {
	__u64 opens, reads, bytes, mapped_bytes;
};

static __always_inline void add_some(__u64 *counter, __u64 amount)
{
	if (!__builtin_constant_p(amount) || amount)
		__sync_fetch_and_add(counter, amount);
}

/* Notes in the buffer which cgroup has read the layer and, unless the inode is 0, which file of it:
 * with the time of the cell's last read. Upkeep leaves no file: one that nothing else reads is
 * never read.
 *
 * Inlined, since the upkeep bit must be tested in the frame that has set it: the verifier of 6.1
 * takes what a function finds on its caller's stack for the only value that there can be, and
 * removes the other branch. */
static __always_inline void note_read(const struct credited *to, const struct usage_counts *cell,
				      __u64 inode, struct read_counts counts)
{
	struct usage_file_key key = {
		.mount_id = to->owner, .inode = to->reader, .layer = to->layer, .kind = USAGE_READER
	};
	struct usage_file_counts *entry;
	void *buffer = file_buffer();

	if (!buffer) {
		lose_entry();
		return;
	}
	entry = bpf_map_lookup_elem(buffer, &key);
	if (!entry)
		entry = make_reader_entry(&key);
	if (entry) {
		entry->last_access = cell->last_read;
		add_some(&entry->opens, counts.opens);
		add_some(&entry->reads, counts.reads);
		add_some(&entry->read_bytes, counts.bytes);
	}
	if (to->layer & USAGE_UPKEEP || !inode)
		return;
	key.inode = inode;
	key.kind = 0;
	entry = bpf_map_lookup_elem(buffer, &key);
	if (!entry)
		entry = make_file_entry(&key);
	if (!entry)
		return;
	entry->last_access = cell->last_read;
	add_some(&entry->opens, counts.opens);
	add_some(&entry->read_bytes, counts.bytes);
	add_some(&entry->mapped_bytes, counts.mapped_bytes);
}

static __always_inline void note_file_read(const struct counted_file *counted,
					   struct read_counts counts)
{
	/* Where there is none, the kernel reads zeros. */
	struct inode *inode = found_inode(as_dentry(counted->source.dentry));

	note_read(&counted->to, counted->cell, inode_number(inode), counts);
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
static __always_inline bool find_source_below(struct counted_file *counted)
{
	struct inode *inode = overlay_source_inode(&counted->source);
	struct super_block *super = inode ? inode_super(inode) : 0;

	return super && super_is_overlay(super) &&
	       find_source(super, inode, as_dentry(counted->source.dentry), counted);
}

/* Without a cell. */
static __always_inline bool find_credited_file(struct file *file, bool reads,
					       struct counted_file *ret)
{
	struct super_block *super;
	struct inode *inode;

	if (!file || is_foreign(file))
		return 0;
	/* An open file has both; if there were none, the kernel would read zeros here. */
	inode = file_inode(file);
	super = inode_super(inode);
	if (!super_is_overlay(super) || !inode_is_regular(inode))
		return 0;
	if (!find_source(super, inode, file_dentry(file), ret) &&
	    !(sees_top_only && find_source_below(ret)))
		return 0;
	if (reads)
		note_reader(&ret->to);
	return 1;
}

static __always_inline bool find_file(struct file *file, bool reads, struct counted_file *ret)
{
	if (!find_credited_file(file, reads, ret))
		return 0;
	ret->cell = find_cell(&ret->to);
	return ret->cell;
}

/* For reads and writes, which are many. */
static __always_inline bool find_file_often(struct file *file, bool reads, struct counted_file *ret)
{
	if (!find_credited_file(file, reads, ret))
		return 0;
	ret->cell = find_stamped_cell(&ret->to);
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

static __always_inline int credit_change(struct file *file)
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
	add(&counted->cell->opens, 1);
	if (!opens_for_reading(mode))
		return;
	add(&counted->cell->read_opens, 1);
	stamp_read(counted->cell, &counted->to);
	note_file_read(counted, (struct read_counts){ .opens = 1 });
}

static __always_inline void count_exec(struct counted_file *counted)
{
	add(&counted->cell->execs, 1);
}

static __always_inline int credit_read(struct file *file, __u64 bytes)
{
	struct counted_file counted;

	if (!find_file_often(file, 1, &counted))
		return 0;
	add(&counted.cell->reads, 1);
	add(&counted.cell->read_bytes, bytes);
	stamp_read(counted.cell, &counted.to);
	note_file_read(&counted, (struct read_counts){ .reads = 1, .bytes = bytes });
	return 0;
}

static __always_inline int credit_write(struct file *file, __u64 bytes)
{
	struct counted_file counted;

	if (!find_file_often(file, 0, &counted))
		return 0;
	add(&counted.cell->writes, 1);
	add(&counted.cell->written_bytes, bytes);
	stamp_write(counted.cell, counted.to.owner);
	note_change_by(&counted);
	return 0;
}

static __noinline int count_read(struct file *file, __u64 bytes)
{
	return credit_read(file, bytes);
}

static __noinline int count_write(struct file *file, __u64 bytes)
{
	return credit_write(file, bytes);
}

static __noinline int note_change_of(struct file *file)
{
	return credit_change(file);
}
