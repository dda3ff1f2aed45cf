/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/root_check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define DATABASE "varve.db"

static int check_folder(const char *path, const struct stat *st, bool is_store, struct error *e)
{
	mode_t others = S_IWOTH | (st->st_gid == 0 ? 0 : S_IWGRP);

	if (st->st_uid != 0)
		return error_set(e, -EPERM,
				 "uid %u owns %s and could replace the store: give --root a folder "
				 "that only root can change",
				 st->st_uid, path);
	if (S_ISLNK(st->st_mode) || !(st->st_mode & others) ||
	    (!is_store && (st->st_mode & S_ISVTX)))
		return 0;
	return error_set(e, -EPERM,
			 "other users can write to %s (mode %04o): take that from them (chmod "
			 "go-w %s), or give --root a folder that only root can change",
			 path, st->st_mode & 07777, path);
}

/* Checks each folder of the path from / on, up to the first one that does not exist. */
static int check_parts(const char *path, struct error *e)
{
	cleanup(free_ptr) char *part = strdup(path);
	size_t length = strlen(path);

	if (!part)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 1; i <= length; i++) {
		struct stat st;
		int code;

		/* "/" itself, and then each name. */
		if (i > 1 && path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		if (lstat(part, &st) < 0)
			return errno == ENOENT
				       ? 0
				       : error_set(e, -errno, "%s: %s", part, strerror(errno));
		code = check_folder(part, &st, i == length, e);
		if (code < 0)
			return code;
		part[i] = path[i];
	}
	return 0;
}

int root_check_owners(const char *path, struct error *e)
{
	cleanup(free_ptr) char *real = NULL;
	int code = check_parts(path, e);

	if (code < 0)
		return code;
	/* Links on the way belong to root; the folders that they lead to must, too. */
	real = realpath(path, NULL);
	return real ? check_parts(real, e) : 0;
}

/* 1 when it exists, 0 when it does not. */
static int has_entry(const char *path, const char *name, struct error *e)
{
	cleanup(free_ptr) char *entry = NULL;
	struct stat st;

	if (asprintf(&entry, "%s/%s", path, name) < 0) {
		entry = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (lstat(entry, &st) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return error_set(e, -errno, "%s: %s", entry, strerror(errno));
}

/* A store that has lost its database still has layers. */
int root_check_has_store(const char *path, struct error *e)
{
	int found = has_entry(path, DATABASE, e);

	if (found == 0)
		found = has_entry(path, "layers", e);
	if (found == 0)
		return error_set(e, -ENOENT, "no store at %s: check --root", path);
	return found < 0 ? found : 0;
}
