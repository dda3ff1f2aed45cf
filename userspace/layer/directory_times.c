/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/directory_times.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct directory_times {
	FILE *file;
};

struct record {
	struct timespec times[2];
	uint32_t length;
};

int directory_times_new(int layer_fd, struct directory_times **ret_times, struct error *e)
{
	cleanup(directory_times_free) struct directory_times *t = calloc(1, sizeof(*t));
	cleanup(close_fd) int fd = openat(layer_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = memfd_create("directory-times", MFD_CLOEXEC);
	if (fd < 0)
		return error_set(e, -errno, "open a temporary file: %s", strerror(errno));
	if (t)
		t->file = fdopen(fd, "w+");
	if (!t || !t->file)
		return error_set(e, -ENOMEM, "out of memory");
	(void)take_fd(&fd); /* the file has it */
	*ret_times = take_ptr(t);
	return 0;
}

void directory_times_free(struct directory_times *t)
{
	if (t && t->file)
		(void)fclose(t->file); /* nobody reads it again */
	free(t);
}

static int spool_error(struct error *e)
{
	int code = errno > 0 ? errno : EIO;

	return error_set(e, -code, "the temporary file for directories' times: %s", strerror(code));
}

int directory_times_add(struct directory_times *t, const char *path, const struct timespec times[2],
			struct error *e)
{
	struct record record = { .times = { times[0], times[1] },
				 .length = (uint32_t)strlen(path) };

	if (fwrite(&record, sizeof(record), 1, t->file) != 1 ||
	    (record.length > 0 && fwrite(path, record.length, 1, t->file) != 1))
		return spool_error(e);
	return 0;
}

static int set_one(struct beneath *directories, const char *path, const struct record *record,
		   struct error *e)
{
	int fd, r = beneath_enter(directories, path, record->length, NULL, &fd, e);

	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0;
	if (r < 0)
		return r;
	if (futimens(fd, record->times) < 0)
		return error_set(e, -errno, "set the times of a directory: %s", strerror(errno));
	return 0;
}

int directory_times_set(struct directory_times *t, struct beneath *directories, struct error *e)
{
	struct record record;
	char path[BENEATH_PATH_SIZE];
	int r = 0;

	if (fflush(t->file) != 0 || fseek(t->file, 0, SEEK_SET) != 0)
		return spool_error(e);
	while (r == 0 && fread(&record, sizeof(record), 1, t->file) == 1) {
		if (record.length > 0 && fread(path, record.length, 1, t->file) != 1)
			return spool_error(e);
		path[record.length] = '\0';
		r = set_one(directories, path, &record, e);
	}
	if (r == 0 && ferror(t->file))
		return spool_error(e);
	return r;
}
