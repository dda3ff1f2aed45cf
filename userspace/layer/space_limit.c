/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/space_limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/vfs.h>

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static int ask(struct space_limit *s, uint64_t bytes, uint64_t inodes, struct error *e)
{
	struct statfs f;
	uint64_t block, reserve, free_bytes, free_inodes;

	if (fstatfs(s->directory, &f) < 0)
		return error_set(e, -errno, "look at the file system: %s", strerror(errno));
	block = (uint64_t)f.f_bsize;
	reserve = f.f_blocks * block / SPACE_LIMIT_SHARE;
	if (reserve > SPACE_LIMIT_BYTES)
		reserve = SPACE_LIMIT_BYTES;
	free_bytes = minus(f.f_bavail * block, reserve);
	if (free_bytes < bytes)
		return error_set(e, -ENOSPC,
				 "No space left: unpacking more would leave less than %" PRIu64
				 " MiB of the file system free; free some space and try again",
				 (reserve >> 20) + 1);
	/* File systems that do not count inodes (btrfs) have no limit. */
	free_inodes = f.f_files > 0 ? minus(f.f_ffree, f.f_files / SPACE_LIMIT_SHARE) : UINT64_MAX;
	if (free_inodes < inodes)
		return error_set(e, -ENOSPC,
				 "No space left: unpacking more would leave less than %" PRIu64
				 " inodes of the file system free; remove some files and try again",
				 (uint64_t)f.f_files / SPACE_LIMIT_SHARE + 1);
	/* Other processes write, too: ask again after half of what is free. */
	s->bytes_left = bytes + (free_bytes - bytes) / 2;
	s->inodes_left = inodes + (free_inodes - inodes) / 2;
	if (s->bytes_left > bytes + SPACE_LIMIT_BYTES / 16)
		s->bytes_left = bytes + SPACE_LIMIT_BYTES / 16;
	if (s->inodes_left > inodes + 4096)
		s->inodes_left = inodes + 4096;
	return 0;
}

int space_limit_take(struct space_limit *s, uint64_t bytes, uint64_t inodes, struct error *e)
{
	int code;

	if (bytes > s->bytes_left || inodes > s->inodes_left) {
		code = ask(s, bytes, inodes, e);
		if (code < 0)
			return code;
	}
	s->bytes_left -= bytes;
	s->inodes_left -= inodes;
	return 0;
}
