/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_files make DIR COUNT   makes empty files named 0, 1, … in DIR
 * many_files read DIR COUNT   opens each of them for reading
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_all(int directory, int flags, unsigned long count)
{
	char name[32];

	for (unsigned long i = 0; i < count; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "%lu", i);
		fd = openat(directory, name, flags | O_CLOEXEC, 0644);
		if (fd < 0 || close(fd) < 0) {
			fprintf(stderr, "many_files: %s: %s\n", name, strerror(errno));
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool make = argc == 4 && strcmp(argv[1], "make") == 0;
	int directory;

	if (!make && (argc != 4 || strcmp(argv[1], "read") != 0)) {
		fputs("usage: many_files make|read DIR COUNT\n", stderr);
		return 2;
	}
	directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0) {
		fprintf(stderr, "many_files: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	return open_all(directory, make ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY,
			strtoul(argv[3], NULL, 10));
}
