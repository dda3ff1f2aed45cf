/* SPDX-License-Identifier: Apache-2.0 */
/* The part of fsck that looks at the store's directories, for what belongs to no record. */
#pragma once

#include "manager/recovery/fsck_report.h"

int fsck_files_check(struct fsck *c, struct error *e);
/* Whether something is mounted at a path within the store. */
bool fsck_files_is_mount_root(struct fsck *c, const char *path);
