/* SPDX-License-Identifier: Apache-2.0 */
/* At start: compares the database, the directories and the kernel's mount table, and makes them
 * agree. */
#pragma once

#include "manager/state/manager_state.h"

int recover(struct manager *m, struct error *e);
