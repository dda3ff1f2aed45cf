/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli_call.h"
#include "cli/commands.h"
#include "varve.pb-c.h"

/* The file has another name until it is complete. */
struct backup {
	const char *path;
	char *partial;
	int fd;
	int64_t size_bytes;
};

static void backup_end(struct backup *b)
{
	if (b->fd >= 0)
		(void)unlink(b->partial); /* it is not complete */
	cleanup_close_fd(&b->fd);
	free(b->partial);
}
DEFINE_CLEANUP_VALUE(struct backup, backup_end)

static int begin(struct backup *b, struct error *e)
{
	struct stat st;

	if (lstat(b->path, &st) == 0)
		return error_set(e, -EEXIST, "%s exists: name a new file", b->path);
	if (asprintf(&b->partial, "%s.%d.partial", b->path, getpid()) < 0) {
		b->partial = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	b->fd = open(b->partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return b->fd >= 0 ? 0 : error_set(e, -errno, "make %s: %s", b->partial, strerror(errno));
}

static int write_piece(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const ProtobufCBinaryData *data = &((const Varve__V1__BackupPiece *)reply)->database;
	struct backup *b = user;
	size_t put = 0;

	while (put < data->len) {
		ssize_t n = write(b->fd, data->data + put, data->len - put);

		if (n < 0)
			return error_set(e, -errno, "write %s: %s", b->path, strerror(errno));
		put += (size_t)n;
	}
	b->size_bytes += (int64_t)put;
	return 0;
}

static int sync_folder(const char *path, struct error *e)
{
	cleanup(free_ptr) char *copy = strdup(path);
	cleanup(close_fd) int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
					: -EBADF;

	if (fd < 0 || fsync(fd) < 0)
		return error_set(e, -errno, "sync the folder of %s: %s", path, strerror(errno));
	return 0;
}

/* Never over another file, whatever has come up meanwhile. */
static int finish(struct backup *b, struct error *e)
{
	if (fsync(b->fd) < 0)
		return error_set(e, -errno, "write %s: %s", b->path, strerror(errno));
	if (renameat2(AT_FDCWD, b->partial, AT_FDCWD, b->path, RENAME_NOREPLACE) < 0)
		return error_set(e, -errno, "name the backup %s: %s", b->path, strerror(errno));
	cleanup_close_fd(&b->fd);
	b->fd = -EBADF;
	return sync_folder(b->path, e);
}

static void print(struct output *o, const struct backup *b)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	json_put_string(&w, "file", b->path);
	output_json_size(&w, "size", b->size_bytes);
	json_close_object(&w);
	output_json_line(o, &w);
}

static int run(struct cli *c, struct error *e)
{
	cleanup(backup_end) struct backup b = { .path = c->line.words[0], .fd = -EBADF };
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;
	int code = begin(&b, e);

	if (code < 0)
		return code;
	code = cli_call_each(c, "Backup", &request.base, &varve__v1__backup_piece__descriptor,
			     write_piece, &b, e);
	if (code < 0)
		return code;
	code = finish(&b, e);
	if (code == 0 && c->line.globals.json)
		print(&c->out, &b);
	return code;
}

const struct cli_verb command_backup = {
	.name = "backup",
	.arguments = "FILE",
	.summary = "copy the database while the agent works",
	.details = "Writes a consistent copy of varve.db to a new file, which only its owner can\n"
		   "read. See varved(8), A LOST DATABASE, for how to restore it.",
	.min_words = 1,
	.max_words = 1,
	.run = run,
};
