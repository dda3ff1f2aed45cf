/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers of the fuzz targets. A target is tests/fuzz/fuzz_<name>.c with LLVMFuzzerTestOneInput(),
 * its corpus the files in tests/data/fuzz/<name>/; the Makefile finds both. `make fuzz` searches
 * for inputs that break it; each test run replays the corpus (tests/unit/test_fuzz_<name>).
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the input as a text, which ends at its first NUL. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	assert(text);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* Returns a descriptor of a file in memory with the input, for functions that read a path; the
 * caller closes it. */
static inline int fuzz_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

#define FUZZ_PATH_SIZE 40

static inline const char *fuzz_path(int fd, char path[FUZZ_PATH_SIZE])
{
	(void)snprintf(path, FUZZ_PATH_SIZE, "/proc/self/fd/%d", fd);
	return path;
}
