/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted layers wait in trash/ until a thread of the trash's own has removed their files. */
#pragma once

#include "manager/state/manager_state.h"

void *store_files_empty_trash(void *manager); /* a thread */
void store_files_wake_trash(struct manager *m);

/* Waits until what has been discarded so far is deleted. */
void store_files_drain_trash(struct manager *m);
