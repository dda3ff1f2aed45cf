/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The maps, what happens when they are full, and the knobs of the programs. */
#pragma once

#include "overlay_inode.h"
#include "usage_shared.h"

/* Key: the device number. A superblock with a larger one is not registered, and its accesses are
 * credited to its layers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct usage_slot);
} mount_by_minor SEC(".maps");

/* Full: the layer is not watched, which the agent reports. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct usage_root);
	__type(value, struct usage_layer);
} layer_by_root SEC(".maps");

/* So that an access to a stranger's overlay costs no lookup in the map above. Bits that are set
 * for no root do no harm. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, USAGE_FILTER_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} root_filter SEC(".maps");

/* Made by the programs, at the first access. Full: each access adds to lost.cells. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct usage_cell_key);
	__type(value, struct usage_counts);
} usage_cells SEC(".maps");

/* One entry. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct usage_touched);
} touched_owners SEC(".maps");

static __always_inline void touch_owner(__u64 owner)
{
	__u32 zero = 0;
	struct usage_touched *touched = bpf_map_lookup_elem(&touched_owners, &zero);
	__u64 place = USAGE_TOUCHED_PLACE(owner);

	if (touched && !touched->owners[place])
		touched->owners[place] = 1;
}

/* Userspace deletes entries that are old. Full: a use that is not counted adds to lost.uses. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct usage_use_key);
	__type(value, __u64);
} layer_uses SEC(".maps");

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
/* A digest of it, in the place that the mark of a slot has: see compared_mark(). */
const volatile __u32 generation_mark = 0;
const volatile __u32 part_mask = 0; /* of a processor's number, as struct usage_cell_key has it */
/* Of two overlays on top of each other this backend sees only what is done to the upper one. */
const volatile bool sees_top_only_knob = 0;
#define sees_top_only read_knob(&sees_top_only_knob)

static __always_inline void add(__u64 *counter, __u64 amount)
{
	if (atomic)
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
		__sync_fetch_and_add(&lost->cells, 1);
	return 0;
}

static __always_inline void lose_use(void)
{
	struct usage_lost_counts *lost = lost_counts();

	if (lost)
		__sync_fetch_and_add(&lost->uses, 1);
}

static __always_inline void note_unplaced_change(void)
{
	struct usage_lost_counts *lost = lost_counts();

	if (lost)
		__sync_fetch_and_add(&lost->unplaced_changes, 1);
}

/* While an upgrade has old and new programs attached, exactly one of them counts on a CPU. */
static __always_inline bool is_active(void)
{
	__u32 zero = 0;
	__u64 *active = bpf_map_lookup_elem(&active_generation, &zero);

	return active && *active == generation;
}
