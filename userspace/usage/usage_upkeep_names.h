/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs and cgroups whose reads are upkeep, by name. A name is an absolute path: that of a
 * cgroup if it follows "cgroup:" or ends in .service, .scope or .slice, else that of a program's
 * file. Processes with another root directory than the agent's, as containers have, are not meant.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

#define USAGE_UPKEEP_NAMES_MAX 64

struct usage_bpf;

/* -EINVAL: it is not such a name. */
int usage_upkeep_names_check(const char *name, struct error *e);

/* Makes the kernel side know these and no others. Files of programs that do not exist are passed
 * over: usage_upkeep_names_refresh() finds them when they do. */
int usage_upkeep_names_set(struct usage_bpf *u, const char *const *names, size_t count,
			   struct error *e);
/* Looks at the programs' files again, which may be new. Those that were there before stay known,
 * since processes may still run them. */
int usage_upkeep_names_refresh(struct usage_bpf *u, const char *const *names, size_t count,
			       struct error *e);
