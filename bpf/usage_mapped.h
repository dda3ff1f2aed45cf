/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Bytes of files that are mapped in: what a fault maps, which is more than what is touched, because
 * the kernel maps the pages around it, too. A fault knows the inode in the layer's own file system,
 * so each file of a watched layer that is mapped or executed through an overlay is noted, with what
 * its faults are credited to. An inode number that is used again has another generation, and a
 * layer that is no longer watched is credited with nothing.
 */
#pragma once

#include "usage_count.h"

const volatile __u32 page_shift = 0;

/* Full: the file's faults are not counted, which adds to lost.mapped. Userspace deletes entries of
 * layers that are watched no more, and the oldest ones when it fills. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USAGE_MAPPED_FILES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct usage_root);
	__type(value, struct usage_mapped);
} mapped_files SEC(".maps");

/* A bit for each inode number that was noted: a fault in any other file of the host costs one look
 * at it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct usage_mapped_filter);
} mapped_filter SEC(".maps");

static __always_inline bool may_be_mapped(__u64 inode)
{
	__u64 bit = USAGE_MAPPED_BIT(inode);
	__u32 zero = 0;
	struct usage_mapped_filter *filter = bpf_map_lookup_elem(&mapped_filter, &zero);

	return filter && filter->words[bit >> 6] & 1ULL << (bit & 63);
}

static __always_inline void set_mapped_bit(__u64 inode)
{
	__u64 bit = USAGE_MAPPED_BIT(inode);
	__u32 zero = 0;
	struct usage_mapped_filter *filter = bpf_map_lookup_elem(&mapped_filter, &zero);

	if (filter)
		__sync_fetch_and_or(&filter->words[bit >> 6], 1ULL << (bit & 63));
}

static __always_inline struct usage_root file_identity(struct inode *inode)
{
	return (struct usage_root){
		.inode = inode_number(inode),
		.device = inode_device(inode),
		.generation = inode_generation(inode),
	};
}

/* The file's faults are credited to what mapped it last, for as long as that is registered, and
 * to the layer otherwise. The bit comes last: see usage_mapped.c. */
static __noinline int note_mapped(struct counted_file *counted)
{
	struct super_block *super = inode_super(counted->inode);
	struct inode *inode = overlay_source_inode(&counted->source), *root;
	__u64 mount = overlay_layer_mount(super, counted->source.layer);
	struct usage_mapped mapped = {};
	struct usage_lost_counts *lost;
	struct usage_root key;

	root = mount ? overlay_layer_root(mount) : 0;
	if (!inode || !root || !find_watch(root))
		return 0;
	mapped.layer_root = file_identity(root);
	mapped.superblock = mount_token(mount);
	mapped.as_lower = counted->source.layer ? USAGE_AS_LOWER : USAGE_AS_UPPER;
	mapped.last = counted->cell->last_read;
	if (!(counted->to.owner & USAGE_LAYER_OWNER)) {
		mapped.mount_id = counted->to.owner;
		mapped.mount_layer = counted->to.layer & ~USAGE_UPKEEP;
		mapped.device = super_device(super);
	}
	key = file_identity(inode);
	if (!bpf_map_update_elem(&mapped_files, &key, &mapped, BPF_ANY)) {
		set_mapped_bit(key.inode);
		return 0;
	}
	lost = lost_counts();
	if (lost)
		__sync_fetch_and_add(&lost->mapped, 1);
	return 0;
}

/* A mapping counts once, when it is made; what is touched through it has a counter of its own. */
static __always_inline int credit_mmap(struct file *file, bool shared)
{
	struct counted_file counted;

	if (!find_file(file, 1, &counted))
		return 0;
	add(&counted.cell->mmaps, 1);
	stamp_read(counted.cell, &counted.to);
	note_file_read(&counted, (struct read_counts){});
	note_mapped(&counted);
	if (shared && file_mode(file) & FMODE_WRITE)
		note_change_by(&counted);
	return 0;
}

static __noinline int count_mmap(struct file *file, bool shared)
{
	return credit_mmap(file, shared);
}

static __always_inline bool find_mapped_credit(const struct usage_mapped *mapped,
					       struct credited *ret)
{
	struct usage_layer *layer = bpf_map_lookup_elem(&layer_by_root, &mapped->layer_root);
	__u32 device = mapped->device;
	struct usage_slot *slot;

	if (!layer)
		return 0;
	slot = mapped->mount_id ? bpf_map_lookup_elem(&mount_by_minor, &device) : 0;
	if (slot && slot->mount_id == mapped->mount_id)
		*ret = (struct credited){ .owner = mapped->mount_id, .layer = mapped->mount_layer };
	else
		*ret = (struct credited){ .owner = layer->owner,
					  .layer = mapped->as_lower,
					  .superblock = mapped->superblock };
	return 1;
}

/* A fault in a file that has perhaps been noted. */
static __noinline int count_mapped(struct inode *inode, __u64 pages)
{
	struct usage_root key = file_identity(inode);
	struct usage_mapped *mapped = bpf_map_lookup_elem(&mapped_files, &key);
	__u64 bytes = pages << page_shift;
	struct usage_counts *cell;
	struct credited to;

	if (!mapped || !is_active() || !find_mapped_credit(mapped, &to))
		return 0;
	note_reader(&to);
	cell = find_stamped_cell(&to);
	if (!cell)
		return 0;
	add(&cell->mapped_bytes, bytes);
	stamp_read(cell, &to);
	mapped->last = cell->last_read;
	note_read(&to, cell, key.inode, (struct read_counts){ .mapped_bytes = bytes });
	return 0;
}

static __always_inline int count_fault(struct inode *inode, __u64 pages)
{
	return may_be_mapped(inode->i_ino) ? count_mapped(inode, pages) : 0;
}

SEC("tp_btf/mm_filemap_map_pages")
int BPF_PROG(pages_mapped, struct address_space *mapping, unsigned long first, unsigned long last)
{
	return count_fault(mapping->host, last - first + 1);
}

SEC("tp_btf/mm_filemap_fault")
int BPF_PROG(page_faulted, struct address_space *mapping, unsigned long index)
{
	return count_fault(mapping->host, 1);
}

/* Kernels without these tracepoints (before 6.10): the functions that have them elsewhere. */
SEC("fexit/filemap_map_pages")
int BPF_PROG(pages_mapped_around, struct vm_fault *fault, unsigned long first, unsigned long last,
	     __u32 result)
{
	return count_fault(fault->vma->vm_file->f_inode, last - first + 1);
}

/* After a fault that is to be repeated, the area may be gone. */
SEC("fexit/filemap_fault")
int BPF_PROG(page_fault_done, struct vm_fault *fault, __u32 result)
{
	return result & VM_FAULT_WITHOUT_PAGE ? 0 : count_fault(fault->vma->vm_file->f_inode, 1);
}
