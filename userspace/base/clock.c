/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t = { 0 };

	(void)clock_gettime(id, &t); /* cannot fail for these clocks on any kernel we run on */
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_boot_to_wall_ns(int64_t boot_ns)
{
	return boot_ns ? clock_wall_ns() - (clock_boot_ns() - boot_ns) : 0;
}
