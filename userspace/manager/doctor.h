/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and this store can do, as an operator wants to hear it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct manager;

enum doctor_state { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_DEGRADED, DOCTOR_FAILED };

struct doctor_check {
	const char *name;
	enum doctor_state state;
	char found[1024], advice[256]; /* advice "": nothing to do */
};

struct doctor_report {
	struct doctor_check *checks;
	size_t count, capacity;
	bool failed; /* out of memory: checks are missing */
};

/* What this kernel and this store can do. `cancelled` may be NULL. */
int doctor_run(struct manager *m, const atomic_bool *cancelled, struct doctor_report *ret_report,
	       struct error *e);
void doctor_report_free(struct doctor_report *report); /* what it points to */
DEFINE_CLEANUP_VALUE(struct doctor_report, doctor_report_free)
