/* SPDX-License-Identifier: Apache-2.0 */
/* The map of files whose faults are counted: takes out of it what it need not have any more. */
#pragma once

struct usage_bpf;

/* Every ten minutes, and when the map has become full, takes out the files of layers that are
 * watched no more; when it was full, also the quarter that had no fault for the longest time. Any
 * thread, without the lock. */
void usage_mapped_sweep(struct usage_bpf *u);
