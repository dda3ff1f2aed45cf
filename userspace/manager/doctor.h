/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and this store can do, as an operator wants to hear it. */
#pragma once

#include <stddef.h>

#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"

struct manager;

enum doctor_state { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_DEGRADED };

struct doctor_check {
	const char *name;
	enum doctor_state state;
	char found[256], advice[256]; /* advice "": nothing to do */
};

#define DOCTOR_CHECKS_MAX 16

/* `cancelled` may be NULL. */
int doctor_run(struct manager *m, const atomic_bool *cancelled,
	       struct doctor_check ret_checks[DOCTOR_CHECKS_MAX], size_t *ret_count,
	       struct error *e);
