/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The overlay backend: programs at the return of overlayfs' own functions, whose names and
 * prototypes are the same from 6.1 to 6.18 at least. Nothing runs for any other file system.
 */
#pragma once

#include "usage_mapped.h"

static __always_inline int count_overlay_open(struct file *file)
{
	__u32 mode = file_mode(file);
	struct counted_file counted;

	if (!find_file(file, opens_for_reading(mode), &counted))
		return 0;
	count_open(&counted, mode);
	if (file_flags(file) & FMODE_EXEC)
		count_exec(&counted);
	return 0;
}

SEC("fexit/ovl_open")
int BPF_PROG(file_opened, struct inode *inode, struct file *file, int result)
{
	return result ? 0 : count_overlay_open(file);
}

/* A queued request is counted now, without its bytes: its end is out of sight. */
SEC("fexit/ovl_read_iter")
int BPF_PROG(file_read, struct kiocb *request, void *buffers, long result)
{
	if (result >= 0 || result == -EIOCBQUEUED)
		count_read(request->ki_filp, result > 0 ? result : 0);
	return 0;
}

SEC("fexit/ovl_splice_read")
int BPF_PROG(file_splice_read, struct file *file, void *position, void *pipe, unsigned long length,
	     unsigned int flags, long result)
{
	if (result >= 0)
		count_read(file, result);
	return 0;
}

SEC("fexit/ovl_write_iter")
int BPF_PROG(file_written, struct kiocb *request, void *buffers, long result)
{
	if (result >= 0 || result == -EIOCBQUEUED)
		count_write(request->ki_filp, result > 0 ? result : 0);
	return 0;
}

SEC("fexit/ovl_splice_write")
int BPF_PROG(file_splice_written, void *pipe, struct file *file, void *position,
	     unsigned long length, unsigned int flags, long result)
{
	if (result >= 0)
		count_write(file, result);
	return 0;
}

SEC("fexit/ovl_copy_file_range")
int BPF_PROG(file_range_copied, struct file *from, long long from_position, struct file *to,
	     long long to_position, unsigned long length, unsigned int flags, long result)
{
	if (result > 0) {
		count_read(from, result);
		count_write(to, result);
	}
	return 0;
}

SEC("fexit/ovl_mmap")
int BPF_PROG(file_mapped, struct file *file, struct vm_area_struct *area, int result)
{
	if (!result)
		count_mmap(file, area->vm_flags & VM_SHARED);
	return 0;
}

static __always_inline int count_stat(struct dentry *dentry)
{
	struct inode *inode = dentry_inode(dentry);
	struct usage_counts *cell;
	struct credited to;

	if (!inode ||
	    !find_credited(inode_super(inode), overlay_attribute_layer(inode, dentry), &to))
		return 0;
	note_reader(&to);
	cell = find_cell(&to);
	if (cell)
		add(&cell->stats, 1);
	return 0;
}

SEC("fexit/ovl_getattr")
int BPF_PROG(file_stated, void *id_map, struct path *path, void *stat, __u32 mask,
	     unsigned int flags, int result)
{
	return result ? 0 : count_stat(path->dentry);
}

static __always_inline int count_readlink(struct inode *inode, struct dentry *dentry)
{
	struct usage_counts *cell;
	struct credited to;

	if (!find_credited(inode_super(inode), overlay_attribute_layer(inode, dentry), &to))
		return 0;
	note_reader(&to);
	cell = find_cell(&to);
	if (cell)
		add(&cell->readlinks, 1);
	return 0;
}

/* A lookup without locks comes without a dentry, fails, and is made again with one. */
SEC("fexit/ovl_get_link")
int BPF_PROG(link_read, struct dentry *dentry, struct inode *inode, void *done, unsigned long text)
{
	return text >= (unsigned long)-MAX_ERRNO ? 0 : count_readlink(inode, dentry);
}

static __always_inline void count_copied_bytes(struct usage_counts *cell, struct dentry *upper)
{
	struct inode *real = found_inode(upper);

	if (real)
		add(&cell->copied_up_bytes, inode_size(real));
}

/* The cell of the lower that a file was copied up from. */
static __always_inline struct usage_counts *find_origin(struct inode *inode)
{
	__u32 layer = overlay_lower_layer(overlay_lower(inode, 0, 1));
	struct credited from;

	if (layer == UNKNOWN_LAYER || !find_credited(inode_super(inode), layer, &from))
		return 0;
	return find_cell(&from);
}

/* An inode gets its upper once, when everything of it has been copied: all of the data, or, for a
 * metacopy, none. */
static __always_inline int count_overlay_copy_up(struct inode *inode, struct dentry *upper)
{
	struct usage_counts *cell;

	note_change_in(inode_super(inode));
	if (!inode_is_regular(inode))
		return 0;
	cell = find_origin(inode);
	if (!cell)
		return 0;
	add(&cell->copy_ups, 1);
	if (overlay_has_upper_data(inode))
		count_copied_bytes(cell, upper);
	return 0;
}

SEC("fexit/ovl_inode_update")
int BPF_PROG(file_copied_up, struct inode *inode, struct dentry *upper)
{
	return count_overlay_copy_up(inode, upper);
}

/* The data of a metacopy follows when the upper is there already. */
static __always_inline int count_late_data(struct inode *inode)
{
	__u64 upper = overlay_upper_dentry(inode);
	struct usage_counts *cell;

	if (!upper || !inode_is_regular(inode))
		return 0;
	note_change_in(inode_super(inode));
	cell = find_origin(inode);
	if (cell)
		count_copied_bytes(cell, as_dentry(upper));
	return 0;
}

SEC("fexit/ovl_set_upperdata")
int BPF_PROG(file_data_copied_up, struct inode *inode)
{
	return count_late_data(inode);
}

/* Before every change but those of a file's content, which the hooks below see. */
SEC("fexit/ovl_want_write")
int BPF_PROG(upper_wanted, struct dentry *dentry, int result)
{
	if (!result)
		note_change_in(dentry->d_sb);
	return 0;
}

/* Removals come here; they no longer want a write themselves (seen on 6.12). */
SEC("fexit/ovl_nlink_start")
int BPF_PROG(links_changed, struct dentry *dentry, int result)
{
	if (!result)
		note_change_in(dentry->d_sb);
	return 0;
}

SEC("fexit/ovl_fallocate")
int BPF_PROG(file_allocated, struct file *file, int mode, long long offset, long long length,
	     long result)
{
	if (!result)
		note_change_of(file);
	return 0;
}

SEC("fexit/ovl_remap_file_range")
int BPF_PROG(file_range_shared, struct file *from, long long from_position, struct file *to,
	     long long to_position, long long length, unsigned int flags, long long result)
{
	if (result > 0)
		note_change_of(to);
	return 0;
}

/* A shared mapping may have filled holes until now: it holds its file open. */
SEC("fexit/ovl_release")
int BPF_PROG(file_released, struct inode *inode, struct file *file, int result)
{
	if (file->f_mode & FMODE_WRITE)
		note_change_in(inode->i_sb);
	return 0;
}

/* The device number still is this superblock's: whatever is registered under it ends here. */
static __always_inline int retire_slot(struct super_block *super)
{
	__u32 device = super_device(super);
	struct usage_slot *slot = bpf_map_lookup_elem(&mount_by_minor, &device);

	if (slot)
		slot->mount_id = 0;
	return 0;
}

/* Two programs: the kernel leaves one out that another task's run of it was interrupted in. */
SEC("fentry/ovl_put_super")
int BPF_PROG(mount_going, struct super_block *super)
{
	return retire_slot(super);
}

SEC("fexit/ovl_put_super")
int BPF_PROG(mount_gone, struct super_block *super)
{
	return retire_slot(super);
}
