/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <linux/magic.h>

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"

bool usage_kernel_has(const struct usage_kernel *k, const char *name, uint32_t kind)
{
	return btf__find_by_name_kind(k->types, name, kind) > 0 ||
	       (k->overlay && btf__find_by_name_kind(k->overlay, name, kind) > 0);
}

int usage_kernel_open(struct usage_kernel *ret_kernel, struct error *e)
{
	if (access(KERNEL_BTF, R_OK) < 0)
		return error_set(e, -errno, "no BTF at " KERNEL_BTF ": %s", strerror(errno));
	ret_kernel->types = btf__load_vmlinux_btf();
	if (!ret_kernel->types)
		return error_set(e, -errno, "read " KERNEL_BTF ": %s", strerror(errno));

	/* To ask for the file system loads its module; it may be there already, or built in. */
	cleanup(close_fd) int overlay = fsopen("overlay", FSOPEN_CLOEXEC);
	if (overlay < 0)
		return error_set(e, -errno, "this kernel has no overlayfs: %s", strerror(errno));
	ret_kernel->overlay = btf__load_module_btf("overlay", ret_kernel->types);
	if (!usage_kernel_has(ret_kernel, "ovl_inode", BTF_KIND_STRUCT))
		return error_set(e, -ENOENT, "the kernel's BTF does not describe overlayfs");
	return 0;
}

bool usage_kernel_passes_ring_fields(const struct usage_kernel *k)
{
	const struct btf_type *type;
	int id = btf__find_by_name_kind(k->types, "btf_trace_io_uring_complete", BTF_KIND_TYPEDEF);

	if (id < 0)
		return false;
	type = btf__type_by_id(k->types, (uint32_t)id); /* typedef → pointer → prototype */
	type = btf__type_by_id(k->types, type->type);
	type = btf__type_by_id(k->types, type->type);
	return btf_vlen(type) > 4;
}

/* A program that does nothing; below 0: the kernel does not take one of this type, for this reason.
 */
static int load_probe(enum bpf_attach_type type, int btf_id)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = type,
		    .attach_btf_id = btf_id > 0 ? (uint32_t)btf_id : 0);

	return btf_id <= 0 ? -ENOENT
			   : bpf_prog_load(BPF_PROG_TYPE_TRACING, "varve_probe", "GPL", nothing,
					   ARRAY_SIZE(nothing), &options);
}

bool usage_kernel_takes_iterators(const struct usage_kernel *k)
{
	cleanup(close_fd) int fd =
		load_probe(BPF_TRACE_ITER, btf__find_by_name_kind(k->types, "bpf_iter_bpf_map_elem",
								  BTF_KIND_FUNC));

	return fd >= 0;
}

int usage_kernel_refuses_exits(const struct usage_kernel *k)
{
	/* Any function would do: the kernel judges the type first. */
	int id = btf__find_by_name_kind(k->types, "vfs_read", BTF_KIND_FUNC);
	cleanup(close_fd) int fd = load_probe(BPF_TRACE_FEXIT, id);

	return fd >= 0 || id <= 0 ? 0 : fd;
}

static int find_tracepoint(const struct usage_kernel *k, const char *name)
{
	char type[64];

	(void)snprintf(type, sizeof(type), "btf_trace_%s", name); /* our own, short names */
	return btf__find_by_name_kind(k->types, type, BTF_KIND_TYPEDEF);
}

bool usage_kernel_takes_tracepoint(const struct usage_kernel *k, const char *name)
{
	cleanup(close_fd) int fd = load_probe(BPF_TRACE_RAW_TP, find_tracepoint(k, name));
	cleanup(close_fd) int link = fd < 0 ? -1 : bpf_raw_tracepoint_open(NULL, fd);

	return link >= 0;
}

bool usage_kernel_has_hook(const struct usage_kernel *k, bool is_tracepoint, const char *hook)
{
	return is_tracepoint ? find_tracepoint(k, hook) > 0
			     : usage_kernel_has(k, hook, BTF_KIND_FUNC);
}

bool usage_kernel_has_unified_cgroups(void)
{
	struct statfs fs;

	return access("/sys/fs/cgroup/memory/cgroup.procs", F_OK) < 0 ||
	       (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC);
}

void usage_kernel_close(struct usage_kernel *k)
{
	btf__free(k->overlay);
	btf__free(k->types);
}
