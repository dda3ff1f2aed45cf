/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names what keeps a mount or a superblock in use, for messages: found in /proc, in all mount
 * namespaces that have a process. Not seen: a thread that has left its process's directory or
 * descriptors, files that only io_uring holds, and namespaces that only a bind mount keeps.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

#define MOUNT_HOLDERS_NAMED_MAX 5

/* What holds the one mount, and not other mounts of the same superblock: appends
 * "sleep (4711), bash (4712) and 3 more"; returns how many there are. */
size_t mount_holders_find(uint64_t mount_id, struct strbuf *names);
/* The same for every mount of the superblock; a process that has nothing open stands for its mount
 * namespace: "sleep (4711) in whose mount namespace it is mounted on /mnt". */
size_t mount_holders_find_device(dev_t device, struct strbuf *names);
