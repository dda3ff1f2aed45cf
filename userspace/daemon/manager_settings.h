/* SPDX-License-Identifier: Apache-2.0 */
/* The manager's options, from the configuration. */
#pragma once

#include "daemon/config.h"
#include "manager/manager.h"

/* The path of varve-fetch, beside this program. The first fetch reports if it is missing. NULL: out
 * of memory. */
char *manager_settings_find_fetch_helper(void);
/* All of it is borrowed. */
struct manager_options
manager_settings_make(const struct config *config, const char *root, const char *fetch_helper,
		      void (*report)(bool problem, const char *text, void *user));
