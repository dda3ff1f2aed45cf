/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the kernel side whose reads are upkeep: they are counted apart, and are never a use. Any
 * thread.
 */
#pragma once

#include "base/error.h"

struct usage_bpf;

/* All threads of this process, until it ends or executes another program; its children are not
 * meant. -ESRCH: it has ended. */
int usage_upkeep_mark(struct usage_bpf *u, int pidfd, struct error *e);
/* Within this folder: tasks look at their verdicts again, or for the first time. */
int usage_upkeep_changed(struct usage_bpf *u, struct error *e);
/* The process that calls this. */
int usage_upkeep_mark_self(struct usage_bpf *u, struct error *e);
