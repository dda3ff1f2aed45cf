/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a pair of twins: the immutable record alone owns the layer from then on. */
#pragma once

#include "manager/state/manager_state.h"

int record_finalize(struct manager *m, const char *id, struct error *e);
