/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking an archive changes only the layer's directory. The target corrects the check sums of
 * the headers first, because almost no input would get past the first header otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "layer/beneath.h"
#include "layer/tar_apply.h"
#include "tests/fuzz/fuzz_target.h"

#define BLOCK 512
#define MAGIC_AT 257
#define SUM_AT 148
#define SUM_BYTES 8

static void mend_sums(uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
		unsigned sum = SUM_BYTES * ' ';
		char text[SUM_BYTES + 1];

		if (memcmp(bytes + at + MAGIC_AT, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < BLOCK; i++)
			if (i < SUM_AT || i >= SUM_AT + SUM_BYTES)
				sum += bytes[at + i];
		(void)snprintf(text, sizeof(text), "%06o", sum);
		memcpy(bytes + at + SUM_AT, text, SUM_BYTES - 1);
	}
}

static int make_scratch(char path[32])
{
	int fd;

	(void)strcpy(path, access("/dev/shm", W_OK) == 0 ? "/dev/shm/varve-fuzz.XXXXXX"
							 : "/tmp/varve-fuzz.XXXXXX");
	assert(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(fd >= 0 && mkdirat(fd, "layer", 0755) == 0);
	assert(symlinkat("nowhere", fd, "beside") == 0);
	return fd;
}

static void check_and_remove(int scratch, const char *path)
{
	char target[16];
	struct error e;

	assert(readlinkat(scratch, "beside", target, sizeof(target)) == 7);
	assert(beneath_remove(scratch, "layer", &e) == 0);
	assert(unlinkat(scratch, "beside", 0) == 0);
	/* No other file was made. */
	assert(rmdir(path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) uint8_t *bytes = malloc(size + 1);
	struct tar_apply_options options = { .max_bytes = 1 << 20, .max_entries = 100 };
	struct tar_apply_result result;
	struct error e = { 0 };
	char path[32];
	int scratch = make_scratch(path), r;

	assert(bytes);
	memcpy(bytes, data, size);
	mend_sums(bytes, size);
	options.source_fd = fuzz_file(bytes, size);
	assert(lseek(options.source_fd, 0, SEEK_SET) == 0);
	options.layer_fd = openat(scratch, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(options.layer_fd >= 0);
	r = tar_apply(&options, &result, &e);
	assert(r == 0 || (r == e.code && e.text[0]));
	assert(r < 0 || result.blob_bytes == size);
	(void)close(options.source_fd); /* a copy of the input */
	(void)close(options.layer_fd); /* it was only read */
	check_and_remove(scratch, path);
	(void)close(scratch); /* it was only read */
	return 0;
}
