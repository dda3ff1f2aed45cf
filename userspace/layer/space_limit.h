/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends an extraction before it fills the file system: a share of its bytes and of its inodes stays
 * free. Asks the file system only now and then, the more often the closer the limit is.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* A 64th part stays free, and of bytes not more than SPACE_LIMIT_BYTES. */
#define SPACE_LIMIT_SHARE 64
#define SPACE_LIMIT_BYTES ((uint64_t)1 << 30)

struct space_limit {
	int directory; /* on the file system; borrowed */
	uint64_t bytes_left, inodes_left; /* left before the file system is asked again */
};

/* To be called before this much is added. -ENOSPC: too little would stay free. */
int space_limit_take(struct space_limit *s, uint64_t bytes, uint64_t inodes, struct error *e);
