/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that appears under its name only when it is complete and on disk. Until then it has no
 * name, or where the file system cannot do without one, a name that no other file has: what a
 * killed process leaves behind stands in no one's way.
 */
#pragma once

#include "base/cleanup.h"

#define NEW_FILE_NAME_SIZE 32

struct new_file {
	int directory; /* borrowed */
	int fd; /* to write to */
	char beside[NEW_FILE_NAME_SIZE]; /* a name for a while; "": none */
};

/* For initialisers. */
#define NEW_FILE_NONE                             \
	{                                         \
		.directory = -EBADF, .fd = -EBADF \
	}

/* For all users to read, whatever the umask. 0 or -errno. */
int new_file_begin(int directory, struct new_file *ret_file);
/* Syncs the file and gives it its name in the directory, where it replaces another file. 0 or
 * -errno. */
int new_file_publish(struct new_file *file, const char *name);
/* Closes the file; removes what was not published. */
void new_file_end(struct new_file *file);
DEFINE_CLEANUP_VALUE(struct new_file, new_file_end)
