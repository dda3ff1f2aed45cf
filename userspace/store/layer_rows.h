/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of layers: their sizes and the sums of what was counted in them. */
#pragma once

#include "graph/record.h"
#include "store/change_set.h"

void layer_rows_insert(struct change_set *c, const char *name);
void layer_rows_set_size(struct change_set *c, const char *name, int64_t allocated_bytes,
			 int64_t apparent_bytes, int64_t inodes);
void layer_rows_set_lazy(struct change_set *c, const char *name, bool lazy);
void layer_rows_set_last_container(struct change_set *c, const char *name, int64_t at_ns);
void layer_rows_update(struct change_set *c, const struct layer *l);
/* Deletes the counters of the layer's files, which have been replaced. */
void layer_rows_forget_files(struct change_set *c, const char *name);
/* Also deletes the counters of its files. */
void layer_rows_delete(struct change_set *c, const char *name);

/* `layer` has no name longer than LAYER_NAME_LENGTH and no owners. */
int layer_rows_load(sqlite3 *db, int (*visit)(const struct layer *layer, void *user), void *user,
		    struct error *e);
