/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: fills the tables by which the syscall backend knows what a system call or an io_uring
 * operation means; numbers are those of the architecture that this is built for.
 */
#pragma once

#include <stdint.h>

#include "bpf/usage_shared.h"

void usage_calls_fill(uint32_t calls[USAGE_MAX_CALLS], uint32_t ring_calls[USAGE_MAX_RING_CALLS]);
