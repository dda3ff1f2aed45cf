/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: builds its parts in order, runs the loop, and ends the parts in reverse order. */
#pragma once

#include "daemon/config.h"

int daemon_run(const struct config *config, struct error *e);
/* Quarantines the layers of a store that has lost its database, so that an agent can start. */
int daemon_mend_database(const struct config *config, struct error *e);
/* Unmounts everything of the store and ends its accounting; or removes one pin folder. */
int daemon_tear_down(const struct config *config, struct error *e);
