/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places between two steps at which a test build (SAN=address, FAIL_POINTS=1) can be killed or made
 * to fail. Elsewhere they are nothing. The file that $VARVE_FAIL_POINTS names says where, a line
 * each: "NAME COUNT ERRNO", for the COUNTth time that NAME is passed from when the file is written
 * on; ERRNO 0 kills. What is passed is appended to that file's name with ".passed".
 */
#pragma once

#ifdef VARVE_FAIL_POINTS

#include "base/error.h"

struct fail_point {
	const char *name;
	int can_fail;
};

/* 0, or the negative errno that was asked for. */
int fail_point_pass(const struct fail_point *point, struct error *e);
/* To standard output: "NAME kill" or "NAME fail", as often as it is in the source. */
void fail_point_list(void);

#define FAIL_POINT_PASS(name_, can_fail_, e_)                                    \
	({                                                                       \
		static const struct fail_point point_ = { name_, can_fail_ };    \
		static const struct fail_point *const entry_                     \
			__attribute__((section("fail_points"), used)) = &point_; \
		fail_point_pass(entry_, e_);                                     \
	})
#define fail_point(name) ((void)FAIL_POINT_PASS(name, 0, NULL))
#define fail_point_error(name, e) FAIL_POINT_PASS(name, 1, e)

#else

#define fail_point(name) ((void)0)
/* For an error that can come from the step before it. */
#define fail_point_error(name, e) 0

#endif
