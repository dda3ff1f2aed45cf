/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and this store can do, as an operator wants to hear it. */
#pragma once

#include <stddef.h>

struct manager;

enum manager_check_state { MANAGER_CHECK_OK, MANAGER_CHECK_WARNING, MANAGER_CHECK_DEGRADED };

struct manager_check {
	const char *name;
	enum manager_check_state state;
	char found[256], advice[256]; /* advice "": nothing to do */
};

#define MANAGER_CHECKS_MAX 16

/* What this kernel and this store can do; returns the number of checks. */
size_t manager_doctor(struct manager *m, struct manager_check ret_checks[MANAGER_CHECKS_MAX]);
