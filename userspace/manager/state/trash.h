/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted layers wait in trash/ until a thread of the trash's own has removed their files. */
#pragma once

#include "manager/state/manager_state.h"

void *trash_empty_thread(void *manager); /* a thread */
void trash_wake(struct manager *m);

/* Waits until what has been discarded so far is deleted. */
void trash_drain(struct manager *m);
