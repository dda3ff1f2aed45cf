/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Files that are read, by owner, layer and inode, in a buffer that the agent takes away and
 * replaces by an empty one, now and then, and soon after it has been told that it fills. No mount
 * can use all of it: a mount has a share, and the last quarter is kept for mounts that have few
 * entries.
 */
#pragma once

#include "usage_maps.h"

/* Grows as it is used. Each has the bookkeeping entries of usage_shared.h besides the files. */
struct file_buffer {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct usage_file_key));
	__uint(value_size, sizeof(struct usage_file_counts));
};

/* One entry: the buffer in use. Its replacement returns after the last program that may still use
 * the old one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct file_buffer);
} usage_file_buffer SEC(".maps");

/* One word for each buffer that fills. Full: the agent has enough to read. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} usage_file_events SEC(".maps");

/* Files whose copy-up is counted already (syscall backend). LRU: when many are written, the copy-up
 * of one that was forgotten counts again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct usage_file_key);
	__type(value, __u64);
} copied_up_files SEC(".maps");

/* Of a buffer: how many files it takes, how many of one mount, how many of each mount even when it
 * is nearly full, and at how many the agent is told. */
const volatile __u32 files_max = 0, files_per_mount = 0, files_reserved = 0, files_notify = 0;

static __always_inline void *file_buffer(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&usage_file_buffer, &zero);
}

static __always_inline struct usage_file_counts *find_or_make_entry(void *buffer,
								    struct usage_file_key *key)
{
	struct usage_file_counts none = {};
	struct usage_file_counts *entry = bpf_map_lookup_elem(buffer, key);

	if (entry)
		return entry;
	/* EEXIST: another CPU was faster, which is as good. */
	(void)bpf_map_update_elem(buffer, key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(buffer, key);
}

/* Of a buffer: how many readers it takes, and how many of one mount. */
const volatile __u32 readers_max = 0, readers_per_mount = 0;

/* The buffer in use, with what is kept of the whole of it and of one owner; false: there is none,
 * or no room for that. */
struct file_books {
	void *buffer;
	struct usage_file_counts *total, *mount;
};

static __always_inline bool open_books(__u64 owner, struct file_books *ret)
{
	struct usage_file_key mount_key = { .mount_id = owner, .layer = USAGE_WHOLE_MOUNT };
	struct usage_file_key total_key = {};

	ret->buffer = file_buffer();
	if (!ret->buffer)
		return 0;
	ret->total = bpf_map_lookup_elem(ret->buffer, &total_key);
	ret->mount = find_or_make_entry(ret->buffer, &mount_key);
	return ret->total && ret->mount;
}

/* An access that found no room for the entry of its reader, or no buffer. */
static __noinline int lose_entry(void)
{
	struct usage_lost_counts *lost = lost_counts();

	if (lost)
		__sync_fetch_and_add(&lost->files, 1);
	return 0;
}

/* A reader's first entry in the buffer. Without room, that of all such readers of the layer; NULL
 * without room for that, either. */
static __noinline struct usage_file_counts *make_reader_entry(struct usage_file_key *key)
{
	struct usage_file_counts none = {}, *entry;
	struct file_books books;
	bool open = open_books(key->mount_id, &books);

	if (!books.buffer)
		return 0;
	if (!open || books.mount->readers >= readers_per_mount ||
	    books.total->readers >= readers_max)
		key->inode = USAGE_OTHER_READERS;
	else if (!bpf_map_update_elem(books.buffer, key, &none, BPF_NOEXIST)) {
		__sync_fetch_and_add(&books.mount->readers, 1);
		__sync_fetch_and_add(&books.total->readers, 1);
	}
	entry = find_or_make_entry(books.buffer, key);
	if (!entry)
		lose_entry();
	return entry;
}

/* An access of a file that has no entry: the layer may have been read more than is known. */
static __noinline int lose_file(struct usage_file_key *key)
{
	struct usage_file_key book = { .mount_id = key->mount_id, .layer = key->layer };
	struct usage_lost_counts *lost = lost_counts();
	struct usage_file_counts *entry;
	void *buffer = file_buffer();

	if (lost)
		__sync_fetch_and_add(&lost->files, 1);
	if (!buffer)
		return 0;
	entry = find_or_make_entry(buffer, &book);
	if (!entry) {
		book = (struct usage_file_key){};
		entry = bpf_map_lookup_elem(buffer, &book);
	}
	if (entry)
		__sync_fetch_and_add(&entry->lost, 1);
	return 0;
}

static __always_inline void tell_agent(struct usage_file_counts *total)
{
	__u64 entries = total->entries;

	if (entries >= files_notify && !total->told &&
	    !bpf_ringbuf_output(&usage_file_events, &entries, sizeof(entries), 0))
		total->told = 1;
}

static __always_inline bool has_room(const struct usage_file_counts *total,
				     const struct usage_file_counts *mount)
{
	if (mount->entries >= files_per_mount || total->entries >= files_max)
		return 0;
	return total->entries < files_max - files_max / 4 || mount->entries < files_reserved;
}

/* The entry of a file, made at its first read since the buffer was replaced; NULL without room. */
static __noinline struct usage_file_counts *make_file_entry(struct usage_file_key *key)
{
	struct usage_file_counts none = {}, *entry;
	struct file_books books;

	if (!open_books(key->mount_id, &books) || !has_room(books.total, books.mount)) {
		lose_file(key);
		return 0;
	}
	if (!bpf_map_update_elem(books.buffer, key, &none, BPF_NOEXIST)) {
		__sync_fetch_and_add(&books.mount->entries, 1);
		__sync_fetch_and_add(&books.total->entries, 1);
		tell_agent(books.total);
	}
	entry = bpf_map_lookup_elem(books.buffer, key);
	if (!entry)
		lose_file(key);
	return entry;
}
