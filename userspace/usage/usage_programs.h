/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often the pinned programs ran, and for how long. The kernel measures that only while
 * something wants it: the sysctl kernel.bpf_stats_enabled, or a descriptor of
 * usage_programs_measure().
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct usage_bpf;

struct usage_program {
	const char *name;
	uint64_t runs, run_ns; /* since it was loaded, and while the kernel measured */
};

/* In no order; a visitor's negative return ends the walk and is returned. None without a backend.
 */
int usage_programs_visit(const struct usage_bpf *u,
			 int (*visit)(const struct usage_program *program, void *user), void *user);
/* The kernel measures the programs until the descriptor is closed. A negative errno. */
int usage_programs_measure(void);
