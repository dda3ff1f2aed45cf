/* SPDX-License-Identifier: Apache-2.0 */
/* Directories with exactly the mode that is wanted, whatever the umask. */
#pragma once

#include <sys/types.h>

/* Makes it beneath `parent` (or AT_FDCWD); the mode is set by descriptor, so that a link in its
 * place is not followed. -EEXIST: it is there already, and left as it is. */
int directory_make(int parent, const char *path, mode_t mode);
