/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/directory_times.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "layer/path_spool.h"

struct directory_times {
	struct path_spool *spool;
};

struct item {
	struct timespec times[2];
};

int directory_times_new(int layer_fd, struct directory_times **ret_times, struct error *e)
{
	cleanup(directory_times_free) struct directory_times *t = calloc(1, sizeof(*t));
	int code;

	if (!t)
		return error_set(e, -ENOMEM, "out of memory");
	code = path_spool_new(layer_fd, sizeof(struct item), &t->spool, e);
	if (code < 0)
		return code;
	*ret_times = take_ptr(t);
	return 0;
}

void directory_times_free(struct directory_times *t)
{
	if (t)
		path_spool_free(t->spool);
	free(t);
}

int directory_times_add(struct directory_times *t, const char *path, const struct timespec times[2],
			struct error *e)
{
	const struct item item = { .times = { times[0], times[1] } };

	return path_spool_add(t->spool, path, &item, e);
}

static int set_one(struct beneath *directories, const char *path, const struct item *item,
		   struct error *e)
{
	int fd, code = beneath_enter(directories, path, strlen(path), NULL, &fd, e);

	if (code == -ENOENT || code == -ENOTDIR || code == -ELOOP)
		return 0;
	if (code < 0)
		return code;
	if (futimens(fd, item->times) < 0)
		return error_set(e, -errno, "set the times of a directory: %s", strerror(errno));
	return 0;
}

int directory_times_set(struct directory_times *t, struct beneath *directories, struct error *e)
{
	char path[BENEATH_PATH_SIZE];
	struct item item;
	int code = path_spool_rewind(t->spool, e);

	if (code < 0)
		return code;
	while ((code = path_spool_next(t->spool, path, &item, e)) == 1) {
		code = set_one(directories, path, &item, e);
		if (code < 0)
			return code;
	}
	return code;
}
