// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_hooks.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "usage/usage_kernel.h"

/* Where faults in files are seen. */
enum faults {
	FAULTS_UNSEEN,
	FAULTS_TRACEPOINTS, /* either backend */
	FAULTS_FUNCTIONS, /* kernels without the tracepoints, overlay backend */
};

const char *usage_hooks_name(const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);
	const char *slash = strchr(section, '/');

	return strncmp(section, "iter/", 5) == 0 || !slash ? NULL : slash + 1;
}

static bool is_tracepoint(const struct bpf_program *program)
{
	return strncmp(bpf_program__section_name(program), "tp_btf/", 7) == 0;
}

static bool is_of_faults(const char *hook)
{
	return strncmp(hook, "filemap_", 8) == 0 || strncmp(hook, "mm_filemap_", 11) == 0;
}

static enum faults find_faults(const struct usage_kernel *k, enum usage_backend backend)
{
	if (usage_kernel_takes_tracepoint(k, "mm_filemap_map_pages") &&
	    usage_kernel_takes_tracepoint(k, "mm_filemap_fault"))
		return FAULTS_TRACEPOINTS;
	if (backend == USAGE_BACKEND_OVERLAY &&
	    usage_kernel_has(k, "filemap_map_pages", BTF_KIND_FUNC) &&
	    usage_kernel_has(k, "filemap_fault", BTF_KIND_FUNC))
		return FAULTS_FUNCTIONS;
	return FAULTS_UNSEEN;
}

static bool is_wanted(const struct bpf_program *program, const char *hook,
		      enum usage_backend backend, enum faults faults)
{
	if (is_of_faults(hook))
		return faults == (is_tracepoint(program) ? FAULTS_TRACEPOINTS : FAULTS_FUNCTIONS);
	return is_tracepoint(program) == (backend == USAGE_BACKEND_SYSCALL);
}

/* Hooks that some kernels lack, and can do without: what they count comes another way there. */
static bool is_optional(const char *hook)
{
	return strcmp(hook, "ovl_splice_read") == 0 || /* before 6.5: through ovl_read_iter */
	       strcmp(hook, "ovl_put_super") == 0 || /* then identities are compared each time */
	       strcmp(hook, "io_uring_complete") == 0; /* a kernel without io_uring */
}

/* Of the two programs for this hook, the one for the form that it has on this kernel. */
static bool has_other_form(const struct bpf_program *program, bool passes_fields)
{
	return strcmp(bpf_program__name(program),
		      passes_fields ? "ring_call_done" : "ring_call_done_fields") == 0;
}

int usage_hooks_choose(struct bpf_object *programs, enum usage_backend backend,
		       const struct usage_kernel *kernel, bool table, bool *ret_sees_faults,
		       struct error *e)
{
	bool passes_fields = usage_kernel_passes_ring_fields(kernel);
	enum faults faults = find_faults(kernel, backend);
	struct bpf_program *program;

	bpf_object__for_each_program(program, programs)
	{
		const char *hook = usage_hooks_name(program);
		bool wanted = hook && is_wanted(program, hook, backend, faults);
		bool present = wanted &&
			       usage_kernel_has_hook(kernel, is_tracepoint(program), hook);

		if (wanted && !present && !is_optional(hook))
			return error_set(e, -ENOENT, "the kernel has no %s to hook into", hook);
		if (has_other_form(program, passes_fields))
			present = false;
		(void)bpf_program__set_autoload(program, hook ? present : table);
	}
	*ret_sees_faults = faults != FAULTS_UNSEEN;
	return 0;
}
