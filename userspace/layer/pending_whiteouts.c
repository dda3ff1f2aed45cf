/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/pending_whiteouts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "layer/file_attributes.h"
#include "layer/path_spool.h"

struct pending_whiteouts {
	struct path_spool *spool;
	/* The directory that was looked up last, and the result. */
	char directory[BENEATH_PATH_SIZE];
	bool known, merges;
};

int pending_whiteouts_new(int layer_fd, struct pending_whiteouts **ret_whiteouts, struct error *e)
{
	cleanup(pending_whiteouts_free) struct pending_whiteouts *p = calloc(1, sizeof(*p));
	int code;

	if (!p)
		return error_set(e, -ENOMEM, "out of memory");
	code = path_spool_new(layer_fd, 0, &p->spool, e);
	if (code < 0)
		return code;
	*ret_whiteouts = take_ptr(p);
	return 0;
}

void pending_whiteouts_free(struct pending_whiteouts *p)
{
	if (p)
		path_spool_free(p->spool);
	free(p);
}

int pending_whiteouts_add(struct pending_whiteouts *p, const char *path, struct error *e)
{
	return path_spool_add(p->spool, path, NULL, e);
}

/* 1: it exists; 0: a later entry has replaced it, or a directory on the way to it. */
static int enter(struct beneath *directories, const char *path, size_t length, int *ret_fd,
		 struct error *e)
{
	int code = beneath_enter(directories, path, length, NULL, ret_fd, e);

	if (code == -ENOENT || code == -ENOTDIR || code == -ELOOP)
		return 0;
	return code < 0 ? code : 1;
}

static int make_opaque(struct beneath *directories, const char *path, struct error *e)
{
	int fd, code = enter(directories, path, strlen(path), &fd, e);

	return code <= 0 ? code : xattr_set(fd, OVERLAY_OPAQUE, "y", 1, e);
}

/* Whether no directory on the way is opaque. The root never is: overlayfs always merges it. */
static int look_for_opaque(struct beneath *directories, const char *path, size_t length,
			   bool *ret_merges, struct error *e)
{
	*ret_merges = true;
	for (size_t at = 1; at <= length && *ret_merges; at++) {
		int fd, code;

		if (at < length && path[at] != '/')
			continue;
		code = enter(directories, path, at, &fd, e);
		if (code < 0)
			return code;
		*ret_merges = code > 0 && !directory_is_opaque(fd);
	}
	return 0;
}

static int directory_merges(struct pending_whiteouts *p, struct beneath *directories,
			    const char *path, size_t length, struct error *e)
{
	bool same = p->known && strlen(p->directory) == length &&
		    memcmp(p->directory, path, length) == 0;
	int code = same ? 0 : look_for_opaque(directories, path, length, &p->merges, e);

	if (code < 0)
		return code;
	memcpy(p->directory, path, length);
	p->directory[length] = '\0';
	p->known = true;
	return p->merges;
}

static int make_whiteout(struct pending_whiteouts *p, struct beneath *directories,
			 const struct lower_layers *lowers, const char *path, struct error *e)
{
	const char *name;
	size_t length = beneath_parent(path, &name);
	int parent, code;

	if (!lower_layers_have(lowers, path))
		return 0;
	code = directory_merges(p, directories, path, length, e);
	if (code <= 0)
		return code;
	code = enter(directories, path, length, &parent, e);
	if (code <= 0)
		return code;
	if (mknodat(parent, name, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST)
		return error_set(e, -errno, "make the whiteout: %s", strerror(errno));
	return 0;
}

int pending_whiteouts_make(struct pending_whiteouts *p, struct beneath *directories,
			   const struct lower_layers *lowers, struct error *e)
{
	char path[BENEATH_PATH_SIZE], shown[BENEATH_SHOWN_SIZE];
	int code;

	/* Opaque directories come first: whiteouts below them are not needed. */
	for (int pass = 0; pass < 2; pass++) {
		code = path_spool_rewind(p->spool, e);
		if (code < 0)
			return code;
		while ((code = path_spool_next(p->spool, path, NULL, e)) == 1) {
			code = pass == 0 ? make_opaque(directories, path, e)
					 : make_whiteout(p, directories, lowers, path, e);
			if (code < 0)
				return error_context(e, "whiteout of %s",
						     beneath_show(path, shown));
		}
		if (code < 0)
			return code;
	}
	return 0;
}
