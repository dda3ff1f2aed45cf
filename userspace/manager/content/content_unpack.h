/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one layer. Crash order: row says lazy → files made and synced → row says not lazy,
 * durably. Files that a crash leaves behind a lazy row are discarded at start, or by the next
 * attempt. Called by the one thread that makes the layer (content_extract.c), without the lock.
 */
#pragma once

#include "layer/disk_walk.h"
#include "manager/content/content_fetchers.h"

/* Fills the layer from its blob, for which it waits. On failure nothing is left of the files.
 * *ret_took_ns: what fetching and unpacking took, without waiting for other layers. */
int content_unpack_layer(struct content_fetchers *f, const struct content_chain_layer *l,
			 struct disk_usage *ret_size, int64_t *ret_took_ns, struct error *e);

/* Gives the layer the files of a directory, a path within the store; it is gone afterwards. */
int content_unpack_adopt(struct content_chain *chain, const struct content_chain_layer *l,
			 const char *directory, struct disk_usage *ret_size, struct error *e);
