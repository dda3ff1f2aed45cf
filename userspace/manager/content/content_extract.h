/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for the layers of a chain that have none, made from their blobs, parents first, while the
 * blobs of the layers above are fetched. A layer is made once, however many calls wait for it: the
 * others wait for the first one, and one of them takes over when that one is cancelled.
 */
#pragma once

#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

/* Makes the files of all layers of the record's chain that lack them. -ENODATA names the blobs that
 * cannot be had; -ENOENT, -ECANCELED, and errors of the registry and the file system. */
int content_extract(struct manager *m, const char *id, const struct content_watch *watch,
		    struct error *e);

/* Gives a record without parents the files of a directory, a path within the store that was filled
 * from the record's blob in this time. The directory stays when the record has files already. */
int content_extract_adopt(struct manager *m, const char *id, const char *directory, int64_t took_ns,
			  struct error *e);

/* Like content_extract(), with the lock, which is released while there is something to do: *r may
 * be a different object afterwards, or not exist any more: -ENOENT. */
int content_extract_if_lazy(struct manager *m, struct record **r, const atomic_bool *cancelled,
			    struct error *e);
