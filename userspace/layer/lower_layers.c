/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/lower_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/file_attributes.h"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

enum found {
	FOUND,
	LOOK_BELOW, /* this layer does not have it */
	HIDDEN, /* this layer hides it in those below */
};

/* Finds the directory that the first `length` bytes of the path name in this one layer.
 * *ret_opaque: it, or one on the way to it, hides those of lower layers. */
static enum found find_directory(int layer, const char *path, size_t length, int *ret_fd,
				 bool *ret_opaque)
{
	cleanup(close_fd) int fd = openat(layer, ".", DIRECTORY);
	const char *end = path + length;
	bool opaque = false;

	while (fd >= 0 && path < end) {
		char name[NAME_MAX + 1];
		size_t part = strcspn(path, "/");
		int below;

		if (path + part > end)
			part = (size_t)(end - path);
		if (part >= sizeof(name))
			return LOOK_BELOW;
		memcpy(name, path, part);
		name[part] = '\0';
		path += part + (path + part < end);
		below = openat(fd, name, DIRECTORY);
		if (below < 0)
			return errno == ENOENT && !opaque ? LOOK_BELOW : HIDDEN;
		cleanup_close_fd(&fd);
		fd = below;
		opaque = opaque || directory_is_opaque(fd);
	}
	if (fd < 0)
		return HIDDEN;
	*ret_fd = take_fd(&fd);
	*ret_opaque = opaque;
	return FOUND;
}

int lower_layers_open(const struct lower_layers *l, const char *path)
{
	enum found found = LOOK_BELOW;
	bool opaque;
	int fd = -1;

	for (size_t i = 0; i < l->count && found == LOOK_BELOW; i++)
		found = find_directory(l->fds[i], path, strlen(path), &fd, &opaque);
	return fd;
}

static enum found find_any(int layer, const char *path)
{
	cleanup(close_fd) int parent = -EBADF;
	const char *name;
	size_t length = beneath_parent(path, &name);
	bool opaque = false;
	struct stat st;
	enum found found = find_directory(layer, path, length, &parent, &opaque);

	if (found != FOUND)
		return found;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && !opaque ? LOOK_BELOW : HIDDEN;
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0) ? HIDDEN : FOUND;
}

bool lower_layers_have(const struct lower_layers *l, const char *path)
{
	enum found found = LOOK_BELOW;

	for (size_t i = 0; i < l->count && found == LOOK_BELOW; i++)
		found = find_any(l->fds[i], path);
	return found == FOUND;
}
