/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/store_disk.h"

#include <sys/vfs.h>

struct prune_disk store_disk_read(const struct manager *m)
{
	struct statfs s;

	if (fstatfs(m->root_fd, &s) < 0)
		return (struct prune_disk){ 0 };
	return (struct prune_disk){ .total_bytes = (int64_t)s.f_blocks * s.f_bsize,
				    .free_bytes = (int64_t)s.f_bavail * s.f_bsize,
				    .total_inodes = (int64_t)s.f_files,
				    .free_inodes = (int64_t)s.f_ffree };
}
