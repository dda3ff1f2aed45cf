/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who reads. A process whose reads are upkeep is marked by the agent: the mark ends with the
 * process, and when it executes another program. A task's verdict is found out at its first access,
 * and remembered until a mark may have changed it.
 */
#pragma once

#include "usage_maps.h"

/* On the leader of a marked process; the agent writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct usage_mark);
} upkeep_marks SEC(".maps");

/* One entry: grows after each change of what is upkeep. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} upkeep_epoch SEC(".maps");

/* Of each task that has accessed a layer. No memory: it is found out each time. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct usage_verdict);
} task_verdicts SEC(".maps");

/* A child of a marked process is not marked: it may be a container's. */
static __always_inline bool is_marked(struct task_struct *task)
{
	struct usage_mark *mark = bpf_task_storage_get(&upkeep_marks, task->group_leader, 0, 0);

	return mark && (!mark->start_stack || mark->start_stack == task->mm->start_stack);
}

static __noinline bool find_verdict(struct usage_verdict *verdict, __u64 epoch)
{
	struct task_struct *task = bpf_get_current_task_btf();

	verdict->program = task->self_exec_id;
	verdict->upkeep = is_marked(task);
	verdict->epoch = epoch;
	return verdict->upkeep;
}

/* Whether what the task reads is upkeep. */
static __noinline bool is_upkeep(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct usage_verdict unknown = {}, *verdict;
	__u32 zero = 0;
	__u64 *epoch = bpf_map_lookup_elem(&upkeep_epoch, &zero);

	if (!epoch || !*epoch)
		return 0;
	verdict = bpf_task_storage_get(&task_verdicts, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!verdict)
		return find_verdict(&unknown, *epoch);
	if (verdict->epoch == *epoch && verdict->program == task->self_exec_id)
		return verdict->upkeep;
	return find_verdict(verdict, *epoch);
}
