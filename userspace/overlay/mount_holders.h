/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who keeps a mount busy: found in /proc by the mount's id, and not by its device, which the other
 * mounts of the same superblock share. Sees the processes of all mount namespaces; a thread that
 * has left its process's directory or descriptors is not seen, nor is what io_uring holds.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define MOUNT_HOLDERS_NAMED_MAX 5

/* Appends "sleep (4711), bash (4712) and 3 more"; returns how many there are. */
size_t mount_holders_find(uint64_t mount_id, struct strbuf *names);
