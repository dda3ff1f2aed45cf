// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Counts the accesses to each layer of each registered overlay mount, and to watched layers. Either
 * the overlay backend's programs are loaded or the syscall backend's, never both; userspace/usage/
 * chooses by trying.
 */

/* BPF_PROG() makes arguments of the whole prototype, of which a program uses a part. */
#pragma clang diagnostic ignored "-Wunused-parameter"

#include "usage_count.h"
#include "usage_mapped.h"
#include "usage_overlay.h"
#include "usage_syscall.h"
#include "usage_table.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
