/* SPDX-License-Identifier: Apache-2.0 */
/* The sections [policy "name"] of the configuration. */
#pragma once

#include "daemon/config_line.h"

/* Reads a line of such a section. Returns 1, or notes the fault and returns 0. */
int config_policies_read(struct config_line *l, const char *section, const char *name,
			 const char *value);

/* The policies of a file that was read. A policy without limits would evict all that it matches in
 * every run, which is never meant; one about an owner wants the owner's section. -EINVAL names
 * `path` and the policy. */
int config_policies_check(const char *path, const struct config_file *f, struct error *e);
