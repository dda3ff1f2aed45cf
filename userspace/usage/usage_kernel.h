/* SPDX-License-Identifier: Apache-2.0 */
/* What the running kernel has, by its BTF and by trying. Used by usage_attach.c only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct btf;

/* The types of the running kernel. */
struct usage_kernel {
	struct btf *types;
	struct btf *overlay; /* of the module; NULL when overlayfs is built in */
};

/* Loads the module of overlayfs where it is one. -ENOENT: the kernel does not describe its types,
 * or not those of overlayfs. */
int usage_kernel_open(struct usage_kernel *ret_kernel, struct error *e);
/* Whether tasks are told by cgroup v2, and not by the hierarchies of v1. */
bool usage_kernel_has_unified_cgroups(void);

void usage_kernel_close(struct usage_kernel *k);
DEFINE_CLEANUP_VALUE(struct usage_kernel, usage_kernel_close)

/* Whether the kernel or overlayfs has a type of this name and BTF_KIND. */
bool usage_kernel_has(const struct usage_kernel *k, const char *name, uint32_t kind);
/* Whether the kernel has the hook: a function, or a tracepoint. */
bool usage_kernel_has_hook(const struct usage_kernel *k, bool is_tracepoint, const char *hook);
/* Whether the kernel has the tracepoint, and lets a program attach to it. */
bool usage_kernel_takes_tracepoint(const struct usage_kernel *k, const char *name);
/* Whether io_uring_complete has the completion's fields as arguments (before 6.13), or a pointer.
 */
bool usage_kernel_passes_ring_fields(const struct usage_kernel *k);
/* 0, or why the kernel takes no program at the return of a function, as a negative errno. Trying
 * one that does nothing is much cheaper than trying ours. */
int usage_kernel_refuses_exits(const struct usage_kernel *k);
/* Some kernels refuse iterators, though they take every other program of ours. Counting needs none:
 * then there is no table to `cat`. */
bool usage_kernel_takes_iterators(const struct usage_kernel *k);
