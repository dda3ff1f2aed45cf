/* SPDX-License-Identifier: Apache-2.0 */
/* The sections [containerd], [docker] and [buildkit "name"] of the configuration. */
#pragma once

#include "daemon/config_line.h"

/* Each reads a line of its section. Returns 1, or notes the fault and returns 0. */
int config_owners_read_containerd(struct config_line *l, const char *name, const char *value);
int config_owners_read_docker(struct config_line *l, const char *name, const char *value);
int config_owners_read_buildkit(struct config_line *l, const char *section, const char *name,
				const char *value);
