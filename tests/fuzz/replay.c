/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fuzz_<name>: runs a fuzz target with each file of tests/data/fuzz/<name>/ as a test. An
 * input that breaks the target ends the program; its name was printed before.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/strbuf.h"
#include "tests/fuzz/fuzz_target.h"

#define PROGRAM "test_fuzz_"

static int read_whole(const char *path, struct strbuf *content)
{
	cleanup(close_file) FILE *f = fopen(path, "re");
	char block[4096];
	size_t length;

	if (!f)
		return -errno;
	while ((length = fread(block, 1, sizeof(block), f)) > 0)
		strbuf_append_bytes(content, block, length);
	return ferror(f) || strbuf_failed(content) ? -EIO : 0;
}

static bool replay(const char *directory, const char *name)
{
	cleanup(strbuf_free) struct strbuf content = { 0 };
	cleanup(free_ptr) uint8_t *input = NULL;
	char path[2048];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (read_whole(path, &content) < 0)
		return false;
	/* The buffer has exactly the input's size, so that a sanitizer reports a read behind its
	 * end. */
	input = malloc(content.length ? content.length : 1);
	if (!input)
		return false;
	if (content.length)
		memcpy(input, content.text, content.length);
	return LLVMFuzzerTestOneInput(input, content.length) == 0;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const char *name = strstr(argv[0], PROGRAM);
	cleanup(free_ptr) struct dirent **inputs = NULL;
	char directory[1024];
	int count, failed = 0;

	if (argc > 1)
		(void)snprintf(directory, sizeof(directory), "%s", argv[1]);
	else
		(void)snprintf(directory, sizeof(directory), "tests/data/fuzz/%s",
			       name ? name + strlen(PROGRAM) : "");
	count = scandir(directory, &inputs, visible, alphasort);
	if (count <= 0) {
		fprintf(stderr, "%s: %s\n", directory, count < 0 ? strerror(errno) : "is empty");
		return 1;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		bool good;

		fprintf(stderr, "# %s/%s\n", directory, inputs[i]->d_name);
		good = replay(directory, inputs[i]->d_name);
		failed += !good;
		printf("%s %d - %s\n", good ? "ok" : "not ok", i + 1, inputs[i]->d_name);
		(void)fflush(stdout); /* before the next input can end the program */
		free(inputs[i]);
	}
	return failed > 0;
}
