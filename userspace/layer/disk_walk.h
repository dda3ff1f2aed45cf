/* SPDX-License-Identifier: Apache-2.0 */
/* What a directory tree occupies; hard links once, other file systems below it not at all. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

struct disk_usage {
	int64_t allocated_bytes; /* 512-byte blocks of stat(2), times 512 */
	int64_t apparent_bytes; /* sum of st_size of regular files and links */
	int64_t inodes;
};

/* Of what is in `directory`, which is borrowed and is itself not counted. Entries that vanish
 * meanwhile are passed over. Holds a bounded number of descriptors, however deep the tree.
 * -ECANCELED as soon as *cancelled (may be NULL) turns true. */
int disk_walk(int directory, const atomic_bool *cancelled, struct disk_usage *ret_usage,
	      struct error *e);
