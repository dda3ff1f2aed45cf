/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the programs a backend loads on this kernel. Used by usage_attach.c only. */
#pragma once

#include "base/error.h"
#include "usage/usage_backend.h"

struct bpf_object;
struct bpf_program;
struct usage_kernel;

/* What a program hooks into; NULL for the table's iterator, which hooks into nothing. */
const char *usage_hooks_name(const struct bpf_program *program);
/* Chooses those of the backend, and with `table` the table's iterator. *ret_sees_faults: what is
 * mapped in is counted. Fails when the kernel lacks a hook that the backend needs. */
int usage_hooks_choose(struct bpf_object *programs, enum usage_backend backend,
		       const struct usage_kernel *kernel, bool table, bool *ret_sees_faults,
		       struct error *e);
