/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_tool apply FILE DIRECTORY [LOWER…]: unpacks FILE (- is standard input) to a new or empty
 * directory. layer_tool diff DIRECTORY FILE [gzip|zstd]: packs the directory. Both print the result
 * as JSON. A failure prints the errno's name and the error's text on standard error, and exits
 * with 1.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "layer/tar_apply.h"
#include "layer/tar_diff.h"

#define LOWERS_MAX 500

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		err(2, "open %s", path);
	return fd;
}

static int report(int r, const struct error *e)
{
	if (r < 0)
		fprintf(stderr, "%s: %s\n", strerrorname_np(-r), e->text);
	return r < 0 ? 1 : 0;
}

/* getrusage(2) would include the memory of the parent before exec. */
static long peak_rss_kib(void)
{
	cleanup(close_file) FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	return kib;
}

static void print_result(const struct digest *blob, const struct digest *diff_id,
			 uint64_t blob_bytes, uint64_t diff_bytes, uint64_t entries)
{
	printf("{\"blob\":\"%s\",\"diff_id\":\"%s\",\"blob_bytes\":%" PRIu64
	       ",\"diff_bytes\":%" PRIu64 ",\"entries\":%" PRIu64 ",\"rss_kib\":%ld",
	       blob->text, diff_id->text, blob_bytes, diff_bytes, entries, peak_rss_kib());
}

static int apply(int argc, char **argv)
{
	int lowers[LOWERS_MAX];
	struct tar_apply_options o = { .lower_fds = lowers };
	struct tar_apply_result result;
	struct error e = { 0 };
	int r;

	if (argc < 4 || argc - 4 > LOWERS_MAX)
		errx(2, "usage: layer_tool apply FILE DIRECTORY [LOWER...]");
	o.source_fd = strcmp(argv[2], "-") == 0 ? STDIN_FILENO
						: open(argv[2], O_RDONLY | O_CLOEXEC);
	if (o.source_fd < 0)
		err(2, "open %s", argv[2]);
	if (mkdir(argv[3], 0755) < 0 && errno != EEXIST)
		err(2, "make %s", argv[3]);
	o.layer_fd = open_directory(argv[3]);
	for (int i = 4; i < argc; i++)
		lowers[o.lower_count++] = open_directory(argv[i]);
	if (getenv("LAYER_MAX_BYTES"))
		o.max_bytes = strtoull(getenv("LAYER_MAX_BYTES"), NULL, 10);
	if (getenv("LAYER_MAX_ENTRIES"))
		o.max_entries = strtoull(getenv("LAYER_MAX_ENTRIES"), NULL, 10);
	r = tar_apply(&o, &result, &e);
	if (r == 0) {
		print_result(&result.blob, &result.diff_id, result.blob_bytes, result.diff_bytes,
			     result.entries);
		/* The note's names are printable already. */
		printf(",\"notes\":%" PRIu64 ",\"note\":\"", result.notes.count);
		for (const char *at = result.notes.text; *at; at++)
			printf(*at == '\\' || *at == '"' ? "\\%c" : "%c", *at);
		puts("\"}");
	}
	return report(r, &e);
}

static int diff(int argc, char **argv)
{
	struct tar_diff_options o = { .compression = TAR_COMPRESSION_NONE };
	struct tar_diff_result result;
	struct error e = { 0 };
	int r;

	if (argc < 4)
		errx(2, "usage: layer_tool diff DIRECTORY FILE [gzip|zstd]");
	if (argc > 4)
		o.compression = strcmp(argv[4], "zstd") == 0 ? TAR_COMPRESSION_ZSTD
							     : TAR_COMPRESSION_GZIP;
	o.layer_fd = open_directory(argv[2]);
	o.output_fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (o.output_fd < 0)
		err(2, "open %s", argv[3]);
	r = tar_diff(&o, &result, &e);
	if (r == 0) {
		print_result(&result.blob, &result.diff_id, result.blob_bytes, result.diff_bytes,
			     result.entries);
		puts("}");
	}
	return report(r, &e);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "apply") == 0)
		return apply(argc, argv);
	if (argc > 1 && strcmp(argv[1], "diff") == 0)
		return diff(argc, argv);
	errx(2, "usage: layer_tool apply|diff …");
}
