/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/path_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct path_spool {
	FILE *file;
	size_t item_size;
};

int path_spool_new(int layer_fd, size_t item_size, struct path_spool **ret_spool, struct error *e)
{
	cleanup(path_spool_free) struct path_spool *s = calloc(1, sizeof(*s));
	cleanup(close_fd) int fd = openat(layer_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = memfd_create("paths", MFD_CLOEXEC);
	if (fd < 0)
		return error_set(e, -errno, "open a temporary file: %s", strerror(errno));
	if (s)
		s->file = fdopen(fd, "w+");
	if (!s || !s->file)
		return error_set(e, -ENOMEM, "out of memory");
	(void)take_fd(&fd); /* the file has it */
	s->item_size = item_size;
	*ret_spool = take_ptr(s);
	return 0;
}

void path_spool_free(struct path_spool *s)
{
	if (s && s->file)
		(void)fclose(s->file); /* it is not read again */
	free(s);
}

static int spool_error(struct error *e)
{
	int code = errno > 0 ? errno : EIO;

	return error_set(e, -code, "the temporary file of paths: %s", strerror(code));
}

static bool write_part(struct path_spool *s, const void *bytes, size_t length)
{
	return length == 0 || fwrite(bytes, length, 1, s->file) == 1;
}

static bool read_part(struct path_spool *s, void *bytes, size_t length)
{
	return length == 0 || fread(bytes, length, 1, s->file) == 1;
}

int path_spool_add(struct path_spool *s, const char *path, const void *item, struct error *e)
{
	uint32_t length = (uint32_t)strlen(path);

	errno = 0;
	if (!write_part(s, &length, sizeof(length)) || !write_part(s, path, length) ||
	    !write_part(s, item, s->item_size))
		return spool_error(e);
	return 0;
}

int path_spool_rewind(struct path_spool *s, struct error *e)
{
	return fflush(s->file) != 0 || fseek(s->file, 0, SEEK_SET) != 0 ? spool_error(e) : 0;
}

int path_spool_next(struct path_spool *s, char ret_path[BENEATH_PATH_SIZE], void *ret_item,
		    struct error *e)
{
	uint32_t length;

	errno = 0;
	if (!read_part(s, &length, sizeof(length)))
		return ferror(s->file) ? spool_error(e) : 0;
	if (length >= BENEATH_PATH_SIZE || !read_part(s, ret_path, length) ||
	    !read_part(s, ret_item, s->item_size))
		return spool_error(e);
	ret_path[length] = '\0';
	return 1;
}
