/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the folder of the store before the agent trusts anything in it: only root may be able to
 * replace the folder or to put something into it.
 */
#pragma once

#include "base/error.h"

/* -EPERM: a folder on the way to `path` (absolute), or the folder itself, belongs to another user
 * or is writable by others. A sticky folder such as /tmp is allowed on the way, because only root
 * can rename root's files in it. Folders that do not exist pass. */
int root_check_owners(const char *path, struct error *e);
/* -ENOENT: there is no store at `path`. */
int root_check_has_store(const char *path, struct error *e);
