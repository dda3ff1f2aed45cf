/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who reads. A process whose reads are upkeep is marked by the agent: the mark ends with the
 * process, and when it executes another program. A task's verdict is found out at its first access,
 * and remembered until a mark may have changed it.
 */
#pragma once

#include "usage_maps.h"

/* The agent's root directory; 0: not known. */
const volatile __u64 agent_root_inode = 0;
const volatile __u32 agent_root_device = 0;
/* The host uses cgroup v1. */
const volatile bool cgroup_v1_knob = 0;
#define cgroup_v1 read_knob(&cgroup_v1_knob)

/* On the leader of a marked process; the agent writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct usage_mark);
} upkeep_marks SEC(".maps");

/* Programs whose reads are upkeep, by the identity of their files. Full: the agent reports it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct usage_root);
	__type(value, __u32);
} upkeep_programs SEC(".maps");

/* Cgroups whose reads are upkeep, a step for each name of their paths. Full: likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct usage_cgroup_step);
	__type(value, struct usage_cgroup_state);
} upkeep_cgroups SEC(".maps");

/* The names of cgroups whose tasks have accessed a layer, and of those above them. Full: a reader's
 * name is not known. Userspace empties it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct usage_cgroup_name);
} cgroup_names SEC(".maps");

/* Another one after each change of what is upkeep; 0 before the first. */
volatile __u64 upkeep_change SEC(".data.upkeep_change");

/* Of each task that has accessed a layer. No memory: it is found out each time. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct usage_verdict);
} task_verdicts SEC(".maps");

static __always_inline bool is_agent_root(__u64 dentry)
{
	struct inode *root = dentry && agent_root_inode ? found_inode(as_dentry(dentry)) : 0;

	return root && inode_number(root) == agent_root_inode &&
	       inode_device(root) == agent_root_device;
}

/* A child of a marked process is not marked: it may be a container's. */
static __always_inline bool is_marked(struct task_struct *task)
{
	struct usage_mark *mark = bpf_task_storage_get(&upkeep_marks, task->group_leader, 0, 0);

	return mark && (!mark->start_stack || mark->start_stack == current_task()->mm->start_stack);
}

/* Where cgroup v1 is in use, a task is in one cgroup of each hierarchy: that of the memory counts.
 */
static __always_inline void *find_cgroup(struct task_struct *task)
{
	void *set = task->cgroups;
	void *state;

	if (!cgroup_v1)
		return (void *)load_word(set + bpf_core_field_offset(struct css_set, dfl_cgrp));
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return 0;
	state = (void *)load_word(
		set + bpf_core_field_offset(struct css_set, subsys) +
		sizeof(void *) * bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	if (!state)
		return 0;
	return (void *)load_word(state + bpf_core_field_offset(struct cgroup_subsys_state, cgroup));
}

static __always_inline void *cgroup_node(void *cgroup)
{
	return (void *)load_word(cgroup + bpf_core_field_offset(struct cgroup, kn));
}

/* The number that name_to_handle_at(2) shows. */
static __always_inline __u64 cgroup_number(void *cgroup)
{
	return load_word(cgroup_node(cgroup) + bpf_core_field_offset(struct kernfs_node, id));
}

static __always_inline void *cgroup_ancestor(void *cgroup, __u32 level)
{
	return (void *)load_word(cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
				 level * sizeof(void *));
}

static __always_inline long read_cgroup_name(void *cgroup, char *name, __u32 size)
{
	return bpf_probe_read_kernel_str(
		name, size,
		(void *)load_word(cgroup_node(cgroup) +
				  bpf_core_field_offset(struct kernfs_node, name)));
}

/* From the root down. One below a named one is meant, too. */
static __noinline bool is_cgroup_named(struct task_struct *task)
{
	void *cgroup = find_cgroup(task);
	struct usage_cgroup_step step = {};
	__u32 depth = cgroup ? load_word(cgroup + bpf_core_field_offset(struct cgroup, level)) : 0;

	for (__u32 level = 1; level <= USAGE_CGROUP_DEPTH; level++) {
		struct usage_cgroup_state *next;

		if (level > depth)
			break;
		__builtin_memset(step.name, 0, sizeof(step.name));
		if (read_cgroup_name(cgroup_ancestor(cgroup, level), step.name, sizeof(step.name)) <
		    0)
			break;
		next = bpf_map_lookup_elem(&upkeep_cgroups, &step);
		if (!next)
			break;
		if (next->upkeep)
			return 1;
		step.state = next->state;
	}
	return 0;
}

static __noinline bool is_program_named(struct task_struct *task)
{
	struct file *program = as_file((__u64)BPF_CORE_READ(task, mm, exe_file));
	struct inode *inode = program ? found(program, f_inode) : 0;
	struct usage_root root = {};

	if (!inode)
		return 0;
	root.inode = inode_number(inode);
	root.device = inode_device(inode);
	root.generation = inode_generation(inode);
	if (bpf_map_lookup_elem(&upkeep_programs, &root))
		return 1;
	root.generation = USAGE_ANY_GENERATION;
	return bpf_map_lookup_elem(&upkeep_programs, &root);
}

/* A container has another root directory than the agent: its processes are never meant. */
static __always_inline bool is_named(struct task_struct *task)
{
	return is_agent_root((__u64)BPF_CORE_READ(task, group_leader, fs, root.dentry)) &&
	       (is_program_named(task) || is_cgroup_named(task));
}

struct naming {
	void *cgroup;
	__u32 depth;
};

static long note_cgroup_name(__u32 index, struct naming *naming)
{
	__u64 number = cgroup_number(naming->cgroup);
	struct usage_cgroup_name name = {};

	(void)read_cgroup_name(naming->cgroup, name.name, sizeof(name.name));
	naming->cgroup = cgroup_ancestor(naming->cgroup, naming->depth - index - 1);
	if (index + 1 < naming->depth)
		name.parent = cgroup_number(naming->cgroup);
	return bpf_map_update_elem(&cgroup_names, &number, &name, BPF_NOEXIST) != 0;
}

/* Up to the root, or to one that is known. */
static __noinline int note_cgroup_names(void)
{
	struct naming naming = { .cgroup = find_cgroup(current_task()) };

	if (!naming.cgroup)
		return 0;
	naming.depth = load_word(naming.cgroup + bpf_core_field_offset(struct cgroup, level)) &
		       0xffff;
	(void)bpf_loop(naming.depth < USAGE_CGROUP_DEPTH ? naming.depth : USAGE_CGROUP_DEPTH,
		       note_cgroup_name, &naming, 0);
	return 0;
}

static __always_inline __u64 current_cgroup(void)
{
	void *cgroup;

	if (!cgroup_v1)
		return bpf_get_current_cgroup_id();
	cgroup = find_cgroup(current_task());
	return cgroup ? cgroup_number(cgroup) : 0;
}

/* Keeps the result in `verdict`, which belongs to the task. NULL when there was no memory for it.
 */
static __noinline int find_verdict(struct usage_verdict *verdict, __u64 cgroup)
{
	__u64 epoch = upkeep_change; /* before anything that it may change is read */
	struct task_struct *task = bpf_get_current_task_btf();
	bool upkeep = is_marked(task) || is_named(current_task());

	if (!verdict)
		return upkeep;
	verdict->program = task->self_exec_id;
	verdict->cgroup = cgroup;
	verdict->upkeep = upkeep;
	verdict->epoch = epoch;
	return upkeep;
}

/* Whether what the task reads, which is in this cgroup, is upkeep. Not static: so the kernel
 * verifies it once, and not again for each way to each of its calls. */
int is_upkeep(__u64 cgroup);

__noinline int is_upkeep(__u64 cgroup)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct usage_verdict *verdict;
	__u64 epoch = upkeep_change;

	if (!epoch)
		return 0;
	verdict = bpf_task_storage_get(&task_verdicts, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (verdict && verdict->epoch == epoch && verdict->program == task->self_exec_id &&
	    verdict->cgroup == cgroup)
		return verdict->upkeep;
	/* find_verdict() must not call it: both frames, in the longest chain of calls, exceed the
	 * 512 bytes of 6.1. */
	note_cgroup_names();
	return find_verdict(verdict, cgroup);
}
