/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a layer to the disk, so that it survives a power cut, without writing what else the file
 * system has not written yet: that may be gigabytes of other programs.
 */
#pragma once

#include "base/error.h"

/* Everything in the directory, and the directory with its name. After an error the next call may
 * succeed although the disk lacks data: the kernel reports it only once. */
int layer_sync(int directory, struct error *e);

/* Waits for what is being written, and says whether the kernel could not write a file earlier. */
int layer_check_written(int directory, struct error *e);

/* Where the file system has one journal for all its inodes: the directory, and all names that were
 * made anywhere before, and 1. Else nothing, and 0. */
int layer_sync_names(int directory, struct error *e);

/* Only where the file system has a log for each file, as btrfs has: the directory, what was made in
 * it, and its name. Elsewhere the next file that is synced takes them along. */
int layer_sync_own_log(int directory, struct error *e);
