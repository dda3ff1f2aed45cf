/* SPDX-License-Identifier: Apache-2.0 */
/* Times are int64_t nanoseconds since the epoch (wall), since boot (CLOCK_BOOTTIME), or of the
 * monotonic clock, which stands still while the machine sleeps. */
#pragma once

#include <stdint.h>

#define NS_PER_S INT64_C(1000000000)

int64_t clock_wall_ns(void);
int64_t clock_boot_ns(void);
int64_t clock_monotonic_ns(void);
/* Turns a CLOCK_BOOTTIME stamp into wall time as of now; 0 stays 0, which means never. */
int64_t clock_boot_to_wall_ns(int64_t boot_ns);
