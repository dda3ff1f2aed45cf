/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the agent gives: ids of records and mounts, names of layers. */
#pragma once

#include "manager/state/manager_state.h"

void new_names_record_id(char ret_id[RECORD_ID_LENGTH + 1]);
/* With the lock; grows, and is never used twice, even by a store whose database was lost. */
uint64_t new_names_mount_id(struct manager *m);
/* Never used twice either: a backup of the database may still name a layer that was removed. The
 * file `lock` has the number that follows all that were given. */
void new_names_layer(struct manager *m, char name[LAYER_NAME_LENGTH + 1]);
/* At start, when the names of all layers are known; and at the end, so that few names are lost. */
void new_names_resume(struct manager *m);
void new_names_end(struct manager *m);
