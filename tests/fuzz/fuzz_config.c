/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as varved reads it. */
#include "daemon/config_read.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[FUZZ_PATH_SIZE];
	cleanup(close_fd) int fd = fuzz_file(data, size);
	struct config_file file;
	struct error e = { 0 };

	if (config_read(fuzz_path(fd, path), true, &file, &e) < 0)
		assert(e.text[0]);
	else
		config_file_free(&file);
	return 0;
}
