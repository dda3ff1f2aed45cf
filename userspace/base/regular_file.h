/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files that others name: opening a device, a pipe or a socket has effects of its own, so
 * that the kind of the file is looked at before it is opened. */
#pragma once

#include <stdint.h>

/* Opens the file for reading. `directory` and `resolve` are those of openat2(2). -EINVAL: it is not
 * a regular file, and was not opened. */
int regular_file_open(int directory, const char *path, uint64_t resolve, int *ret_fd,
		      int64_t *ret_size);
