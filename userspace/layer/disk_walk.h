/* SPDX-License-Identifier: Apache-2.0 */
/* The disk space of a directory tree. Hard links count once; other file systems below it do not
 * count. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"

struct disk_usage {
	int64_t allocated_bytes; /* 512-byte blocks of stat(2), times 512 */
	int64_t apparent_bytes; /* sum of st_size of regular files and links */
	int64_t inodes;
	int64_t changed_ns; /* the latest change time, also of the directory itself */
};

/* Measures what is in `directory`, which is borrowed and does not count itself. Entries that vanish
 * meanwhile are skipped. Uses a bounded number of descriptors, however deep the tree. -ECANCELED as
 * soon as *cancelled (may be NULL) is true. */
int disk_walk(int directory, const atomic_bool *cancelled, struct disk_usage *ret_usage,
	      struct error *e);
