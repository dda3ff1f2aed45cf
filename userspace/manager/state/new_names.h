/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the agent gives: ids of records and mounts, names of layers. */
#pragma once

#include "manager/state/manager_state.h"

void new_names_record_id(char ret_id[RECORD_ID_LENGTH + 1]);
/* With the lock; grows, and is never used twice, even by a store whose database was lost. */
uint64_t new_names_mount_id(struct manager *m);
void new_names_layer(struct manager *m, char name[LAYER_NAME_LENGTH + 1]);
