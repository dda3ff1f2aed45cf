/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The syscall backend, for kernels that refuse trampolines: one program at the end of every system
 * call, one at exec, one at each io_uring completion. Arguments are still in the registers then,
 * and a descriptor leads to its file through the task's table. Not seen: reads by AIO, by loop
 * devices and by an overlay on top, 32-bit calls, and a descriptor that another thread closed.
 */
#pragma once

#include "usage_mapped.h"

#define MAP_TYPE 0x0f
#define MAP_SHARED 0x01
#define MAP_SHARED_VALIDATE 0x03
#define MAP_ANONYMOUS 0x20
#define O_TRUNC 01000
#define AT_FDCWD (-100)
#define FICLONE 0x40049409
#define FICLONERANGE 0x4020940d
#define FIDEDUPERANGE 0xc0189436

/* What each system call and each io_uring operation means: USAGE_CALL_ENTRY() by its number. */
const volatile __u32 calls[USAGE_MAX_CALLS] = {};
const volatile __u32 ring_calls[USAGE_MAX_RING_CALLS] = {};
/* Where the mounts are, with a final slash; empty: not known. */
const volatile char mount_prefix[USAGE_MOUNT_PREFIX_SIZE] = {};

#if defined(__TARGET_ARCH_x86)
static __always_inline __u64 call_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

static __always_inline __u64 call_argument(struct pt_regs *regs, __u32 place)
{
	switch (place) {
	case 0:
		return regs->di;
	case 1:
		return regs->si;
	case 2:
		return regs->dx;
	case 3:
		return regs->r10;
	default:
		return regs->r8;
	}
}

/* Calls through the 32-bit entry have numbers of their own. */
static __always_inline bool is_32_bit(struct task_struct *task)
{
	return task->thread_info.status & 0x2; /* TS_COMPAT */
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline __u64 call_number(struct pt_regs *regs)
{
	return (__u32)regs->syscallno;
}

/* Register 0 holds the result by now. */
static __always_inline __u64 call_argument(struct pt_regs *regs, __u32 place)
{
	switch (place) {
	case 0:
		return regs->orig_x0;
	case 1:
		return regs->regs[1];
	case 2:
		return regs->regs[2];
	case 3:
		return regs->regs[3];
	default:
		return regs->regs[4];
	}
}

static __always_inline bool is_32_bit(struct task_struct *task)
{
	return task->thread_info.flags & 1UL << 22; /* _TIF_32BIT */
}
#endif

/* The address of the file behind a descriptor; 0 when there is none. */
static __always_inline __u64 find_open_file(struct task_struct *task, __u32 descriptor)
{
	struct fdtable *table;

	if (!task->files)
		return 0;
	table = task->files->fdt;
	if (descriptor >= table->max_fds)
		return 0;
	return load_word(table->fd + descriptor);
}

/*
 * What happens to a file, by its address. Functions that are not static are verified once, and not
 * again for each way to each of their calls; in return, they cannot be passed a typed pointer.
 */
int read_at(__u64 file, __u64 bytes);
int written_at(__u64 file, __u64 bytes);
int mapped_at(__u64 file, __u64 shared);
int changed_at(__u64 file);
int opened_at(__u64 file, __u64 truncated);

__noinline int read_at(__u64 file, __u64 bytes)
{
	return credit_read(as_file(file), bytes);
}

__noinline int written_at(__u64 file, __u64 bytes)
{
	return credit_write(as_file(file), bytes);
}

__noinline int mapped_at(__u64 file, __u64 shared)
{
	return credit_mmap(as_file(file), shared);
}

__noinline int changed_at(__u64 file)
{
	return credit_change(as_file(file));
}

/*
 * An open for writing of a file that is in the upper and in a lower: it has been copied up, now or
 * earlier. A map remembers that this is counted, by the number that the file has in the upper.
 */
static __noinline int count_copy_up(struct file *file)
{
	struct inode *inode = file_inode(file);
	struct super_block *super = inode_super(inode);
	struct overlay_source source;
	struct usage_file_key key;
	struct usage_counts *cell;
	struct inode *upper;
	struct credited from;
	__u64 counts = 1;
	__u32 layer;

	if (!super_is_overlay(super) || is_foreign(file) || !inode_is_regular(inode))
		return 0;
	source = overlay_data_source(inode, file_dentry(file));
	upper = overlay_source_inode(&source);
	if (source.layer || !upper)
		return 0;
	layer = overlay_lower_layer(overlay_lower(inode, file_dentry(file), 1));
	if (layer == UNKNOWN_LAYER || !find_credited(super, layer, &from))
		return 0;
	key = (struct usage_file_key){
		.mount_id = from.owner,
		.inode = inode_number(upper),
		.layer = USAGE_AS_UPPER,
	};
	if (bpf_map_update_elem(&copied_up_files, &key, &counts, BPF_NOEXIST))
		return 0;
	cell = find_cell(&from);
	if (cell)
		add(&cell->copy_ups, 1);
	return 0;
}

static __noinline int count_open_of(struct file *file, __u32 mode, bool truncated)
{
	struct counted_file counted;

	if (find_file(file, opens_for_reading(mode), &counted)) {
		count_open(&counted, mode);
		if (truncated || mode & (FMODE_WRITE | FMODE_CREATED))
			note_change_by(&counted);
	}
	return 0;
}

/* Calls two functions with large frames, one after the other: inlined here, the frame of the first
 * would count below the second, and 6.1 allows 512 bytes for a chain of calls. */
__noinline int opened_at(__u64 address, __u64 truncated)
{
	struct file *file = as_file(address);
	__u32 mode = address ? file_mode(file) : FMODE_PATH;

	if (mode & FMODE_PATH)
		return 0;
	count_open_of(file, mode, truncated);
	if (mode & FMODE_WRITE)
		count_copy_up(file);
	return 0;
}

static __always_inline bool how_truncates(const void *how)
{
	__u64 flags = 0; /* the first field of struct open_how */

	return !bpf_probe_read_user(&flags, sizeof(flags), how) && flags & O_TRUNC;
}

static __always_inline void count_mapping(struct task_struct *task, struct pt_regs *regs)
{
	__u32 flags = call_argument(regs, 3), type = flags & MAP_TYPE;

	if (!(flags & MAP_ANONYMOUS))
		mapped_at(find_open_file(task, call_argument(regs, 4)),
			  type == MAP_SHARED || type == MAP_SHARED_VALIDATE);
}

static __always_inline void count_ioctl(struct task_struct *task, struct pt_regs *regs)
{
	__u32 request = call_argument(regs, 1);

	if (request == FICLONE || request == FICLONERANGE || request == FIDEDUPERANGE)
		changed_at(find_open_file(task, call_argument(regs, 0)));
}

/* An absolute path outside the registered root may still lead into a mount; not so by "..", ".", or
 * without a further name. */
static __always_inline bool is_below_mounts(const char *user_path)
{
	char path[USAGE_MOUNT_PREFIX_SIZE + 1];
	int i;

	if (!mount_prefix[0] || bpf_probe_read_user_str(path, sizeof(path), user_path) < 0)
		return 0;
	for (i = 0; i < USAGE_MOUNT_PREFIX_SIZE && mount_prefix[i]; i++)
		if (path[i] != mount_prefix[i])
			return 0;
	return path[i] && path[i] != '/' && path[i] != '.';
}

/* Whether the task can mean the agent's mounts by such a path: root alone can pass through the
 * folder that they are in, and only from the root directory that the agent has, too. Any other
 * process could make a folder of that name and keep the agent busy. */
static __always_inline bool may_reach_mounts(struct task_struct *task)
{
	return !BPF_CORE_READ(task, cred, fsuid.val) &&
	       is_agent_root((__u64)BPF_CORE_READ(task, fs, root.dentry));
}

/* The directory that a path call starts from stands for the mount that it changes. */
static __always_inline struct super_block *base_super(struct task_struct *task, int directory,
						      bool absolute)
{
	struct inode *inode;
	struct file *file;

	if (absolute)
		return dentry_super(as_dentry((__u64)BPF_CORE_READ(task, fs, root.dentry)));
	if (directory == AT_FDCWD)
		return dentry_super(as_dentry((__u64)BPF_CORE_READ(task, fs, pwd.dentry)));
	file = as_file(find_open_file(task, directory));
	inode = file ? file_inode(file) : 0;
	return inode ? inode_super(inode) : 0;
}

static __noinline int count_path_change(struct pt_regs *regs, __u32 entry)
{
	struct task_struct *task = current_task();
	__u32 place = USAGE_CALL_DIRECTORY(entry);
	const char *path = (const char *)call_argument(regs, USAGE_CALL_PATH(entry));
	int directory = place == USAGE_CALL_AT_CWD ? AT_FDCWD : (int)call_argument(regs, place);
	char first = 0; /* no path, as utimensat() allows, means the directory itself */

	(void)bpf_probe_read_user(&first, sizeof(first), path);
	if (note_change_in(base_super(task, directory, first == '/')))
		return 0;
	if (first == '/' && is_below_mounts(path) && may_reach_mounts(task) && is_active())
		note_unplaced_change();
	return 0;
}

/* A function of its own: the program that runs at each system call of the host then needs no stack
 * and saves no registers. */
static __noinline int count_call(struct pt_regs *hook_regs, __u32 entry, __u64 result)
{
	struct pt_regs *regs = for_reading(hook_regs, struct pt_regs);
	struct task_struct *task = current_task();

	if (is_32_bit(task))
		return 0;
	switch (USAGE_CALL_CLASS(entry)) {
	case USAGE_CALL_READ:
		read_at(find_open_file(task, call_argument(regs, 0)), result);
		break;
	case USAGE_CALL_OPEN:
		opened_at(find_open_file(task, result),
			  call_argument(regs, USAGE_CALL_PATH(entry)) & O_TRUNC);
		break;
	case USAGE_CALL_OPEN_HOW:
		opened_at(find_open_file(task, result),
			  how_truncates((void *)call_argument(regs, 2)));
		break;
	case USAGE_CALL_WRITE:
		written_at(find_open_file(task, call_argument(regs, 0)), result);
		break;
	case USAGE_CALL_MMAP:
		count_mapping(task, regs);
		break;
	case USAGE_CALL_SENDFILE:
		read_at(find_open_file(task, call_argument(regs, 1)), result);
		written_at(find_open_file(task, call_argument(regs, 0)), result);
		break;
	case USAGE_CALL_SPLICE:
		read_at(find_open_file(task, call_argument(regs, 0)), result);
		written_at(find_open_file(task, call_argument(regs, 2)), result);
		break;
	case USAGE_CALL_IOCTL:
		count_ioctl(task, regs);
		break;
	case USAGE_CALL_CHANGE_FILE:
		changed_at(find_open_file(task, call_argument(regs, 0)));
		break;
	case USAGE_CALL_CHANGE_PATH:
		(void)count_path_change(regs, entry);
		break;
	}
	return 0;
}

static __always_inline int count_system_call(struct pt_regs *regs, long result)
{
	__u64 number = call_number(regs);
	__u32 entry;

	if (number >= USAGE_MAX_CALLS)
		return 0;
	entry = calls[number];
	if (!entry || result < 0)
		return 0;
	return count_call(regs, entry, result);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(system_call_done, struct pt_regs *regs, long result)
{
	return count_system_call(regs, result);
}

/* The kernel opens the program without a system call. Of a script only the interpreter is seen. */
static __always_inline int count_executed(struct file *file)
{
	struct counted_file counted;

	if (!find_file(file, 1, &counted))
		return 0;
	count_open(&counted, FMODE_READ);
	count_exec(&counted);
	note_mapped(&counted);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(program_executed, struct task_struct *task, int old_pid, struct linux_binprm *binary)
{
	return count_executed(binary->file);
}

/* Where the data of a request's operation lies. */
static __always_inline void *request_data(struct io_kiocb *request)
{
	return (void *)request + bpf_core_field_offset(struct io_kiocb, file);
}

static __always_inline __u64 find_slot_file_before_6_13(void *ring, __u32 slot)
{
	void *files;

	if (slot >= (__u32)load_word(ring + bpf_core_field_offset(struct io_ring_ctx___before_6_13,
								  nr_user_files)))
		return 0;
	files = (void *)load_word(
		ring + bpf_core_field_offset(struct io_ring_ctx___before_6_13, file_table.files));
	return load_word(files + slot * bpf_core_type_size(struct io_fixed_file___before_6_13)) &
	       ~IO_URING_SLOT_FLAGS;
}

/* The file in a slot of the ring's own table ("direct descriptor"). */
static __noinline __u64 find_slot_file(void *ring, __u32 slot)
{
	__u64 nodes, node;

	if (bpf_core_field_exists(struct io_ring_ctx___before_6_13, file_table.files))
		return find_slot_file_before_6_13(ring, slot);
	if (!bpf_core_field_exists(struct io_ring_ctx, file_table.data.nodes) ||
	    slot >= (__u32)load_word(ring +
				     bpf_core_field_offset(struct io_ring_ctx, file_table.data.nr)))
		return 0;
	nodes = load_word(ring + bpf_core_field_offset(struct io_ring_ctx, file_table.data.nodes));
	node = load_word((void *)nodes + slot * sizeof(node));
	if (!node)
		return 0;
	return load_word((void *)node + bpf_core_field_offset(struct io_rsrc_node, file_ptr)) &
	       ~IO_URING_SLOT_FLAGS;
}

/* An open completes with a descriptor of the task, or, when it was for a slot of the ring's table,
 * with 0 or the number of the slot. Kernels that do not tell which: such opens are not counted. */
static __always_inline void count_ring_open(void *ring, struct io_kiocb *request, __u32 result)
{
	void *data = request_data(request);
	__u64 file, flags = 0;
	__u32 slot;

	if (!bpf_core_field_exists(struct io_open, file_slot))
		return;
	slot = load_word(data + bpf_core_field_offset(struct io_open, file_slot));
	if (!slot)
		file = find_open_file(current_task(), result);
	else
		file = find_slot_file(ring, slot == IORING_FILE_INDEX_ALLOC ? result : slot - 1);
	if (bpf_core_field_exists(struct io_open, how.flags))
		flags = load_word(data + bpf_core_field_offset(struct io_open, how.flags));
	opened_at(file, flags & O_TRUNC);
}

static __always_inline void count_ring_splice(void *ring, struct io_kiocb *request, __u64 to,
					      __u64 bytes)
{
	void *data = request_data(request);
	__u32 descriptor, flags;
	__u64 from;

	written_at(to, bytes);
	if (!bpf_core_field_exists(struct io_splice, splice_fd_in))
		return;
	descriptor = load_word(data + bpf_core_field_offset(struct io_splice, splice_fd_in));
	flags = load_word(data + bpf_core_field_offset(struct io_splice, flags));
	if (flags & SPLICE_F_FD_IN_FIXED)
		from = find_slot_file(ring, descriptor);
	else
		from = find_open_file(current_task(), descriptor);
	read_at(from, bytes);
}

#define IORING_OP_RENAMEAT 35
#define IORING_OP_UNLINKAT 36
#define IORING_OP_MKDIRAT 37
#define IORING_OP_LINKAT 39

#define RING_FOLDER(request, type, field)                                    \
	(bpf_core_field_exists(struct type, field)                           \
		 ? (int)load_word(request_data(request) +                    \
				  bpf_core_field_offset(struct type, field)) \
		 : AT_FDCWD)

/* The folder that the request's path starts from, when it is relative. */
static __always_inline int ring_folder(struct io_kiocb *request, __u8 operation)
{
	switch (operation) {
	case IORING_OP_RENAMEAT:
		return RING_FOLDER(request, io_rename, new_dfd);
	case IORING_OP_UNLINKAT:
		return RING_FOLDER(request, io_unlink, dfd);
	case IORING_OP_MKDIRAT:
		return RING_FOLDER(request, io_mkdir, dfd);
	case IORING_OP_LINKAT:
		return RING_FOLDER(request, io_link, new_dfd);
	default:
		return AT_FDCWD;
	}
}

/* The request's path is gone by now: it may be relative, or absolute. */
static __noinline int count_ring_path_change(struct io_kiocb *request, __u8 operation)
{
	struct task_struct *task = current_task();
	bool placed = note_change_in(base_super(task, AT_FDCWD, 1));

	placed |= note_change_in(base_super(task, ring_folder(request, operation), 0));
	if (!placed && may_reach_mounts(task) && is_active())
		note_unplaced_change();
	return 0;
}

static __always_inline int count_ring_call(void *ring, void *address, int result)
{
	struct io_kiocb *request = as_request(address);
	__u8 operation;
	__u64 file;

	if (result < 0 || !address)
		return 0;
	operation = typed_loads ? request->opcode : BPF_CORE_READ(request, opcode);
	if (!ring_calls[operation])
		return 0;
	file = load_word(address + bpf_core_field_offset(struct io_kiocb, file));
	switch (ring_calls[operation]) {
	case USAGE_CALL_OPEN:
		count_ring_open(ring, request, result);
		break;
	case USAGE_CALL_READ:
		read_at(file, result);
		break;
	case USAGE_CALL_WRITE:
		written_at(file, result);
		break;
	case USAGE_CALL_SPLICE:
		count_ring_splice(ring, request, file, result);
		break;
	case USAGE_CALL_CHANGE_FILE:
		changed_at(file);
		break;
	case USAGE_CALL_CHANGE_PATH:
		(void)count_ring_path_change(request, operation);
		break;
	}
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(ring_call_done, void *ring, void *request, struct io_uring_cqe *completion)
{
	return count_ring_call(ring, request, completion->res);
}

/* Before 6.13 the tracepoint had the fields of the completion as arguments. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(ring_call_done_fields, void *ring, void *request, __u64 user_data, int result)
{
	return count_ring_call(ring, request, result);
}
