/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of the store, before anything in it is believed: no other user than root may be able
 * to put something else in its place, or something into it.
 */
#pragma once

#include "base/error.h"

/* -EPERM: another user owns a folder on the way to `path` (absolute), or the folder itself, or may
 * write there. A sticky folder such as /tmp may be on the way, because only root can rename what is
 * root's in it. What does not exist is fine. */
int root_check_owners(const char *path, struct error *e);
/* -ENOENT: there is no store at `path`. */
int root_check_has_store(const char *path, struct error *e);
