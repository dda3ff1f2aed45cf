/* SPDX-License-Identifier: Apache-2.0 */
/* Files for layers that have none, made from their blobs. */
#pragma once

#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

/* Gives files to all of the record's chain that lacks them; parents first, and at the same time
 * what is not here is fetched. Once for all who ask. */
int content_extract(struct manager *m, const char *id, const struct content_watch *watch,
		    struct error *e);

/* A record without parents takes the files of the directory, a path within the store, which has
 * been filled from its blob. Nothing happens to one that has files. */
int content_extract_adopt(struct manager *m, const char *id, const char *directory,
			  struct error *e);

/* With the lock, which it lets go of where there is something to do: all of the record's chain has
 * files when this returns 0, and *r may be another record object or gone: -ENOENT. */
int content_extract_if_lazy(struct manager *m, struct record **r, const atomic_bool *cancelled,
			    struct error *e);
