/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration file. */
#pragma once

#include "daemon/config_file.h"

/* Reads the file into *ret_file, with defaults for what it does not set. A missing file is an error
 * only if `required`. -EINVAL names file and line. The caller frees the result. */
int config_read(const char *path, bool required, struct config_file *ret_file, struct error *e);
