/* SPDX-License-Identifier: Apache-2.0 */
/* The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
#include "store/database_log.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* SQLite reuses the log from its beginning after a checkpoint, every 1000 pages. */
#define LOG_BYTES (5 << 20)

#define MAGIC 0x377f0682U /* the lowest bit: checksums are of big-endian words */
#define PAGE_MAX 65536U

/* All fields are big-endian. */
struct log_header {
	uint32_t magic, version, page_size, sequence;
	uint32_t salt[2];
	uint32_t checksum[2]; /* of what is above */
};

struct frame_header {
	uint32_t page;
	uint32_t pages; /* of the database after a commit; 0: the transaction goes on */
	uint32_t salt[2];
	uint32_t checksum[2]; /* of page and pages, the page's bytes, and all before them */
};

struct log_walk {
	int fd;
	struct log_header header;
	uint32_t page_size;
	uint32_t checksum[2];
	struct frame_header *frame; /* with its page behind it */
	uint32_t frames; /* that are whole */
	uint32_t committed;
};

void database_log_reserve(sqlite3 *db)
{
	cleanup(close_fd) int fd = open(sqlite3_filename_wal(sqlite3_db_filename(db, "main")),
					O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	/* When there is too little space, or the file system cannot do it, there is no reserve
	 * until the next time. */
	if (fd >= 0)
		(void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOG_BYTES);
}

int database_log_failed(const char *database_path, const char *reason, struct error *e)
{
	return error_set(e, -EIO,
			 "the disk failed under the database %s (disk I/O error in its log: %s): "
			 "see the kernel's log, then restart varved and run varve fsck",
			 database_path, reason);
}

int database_log_sync(sqlite3 *db, struct error *e)
{
	const char *path = sqlite3_db_filename(db, "main");
	cleanup(close_fd) int fd =
		open(sqlite3_filename_wal(path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fdatasync(fd) < 0)
		return database_log_failed(path, strerror(errno), e);
	return 0;
}

static void add_checksum(struct log_walk *w, const void *bytes, size_t length)
{
	const uint32_t *words = bytes;
	bool big = be32toh(w->header.magic) & 1;

	for (size_t i = 0; i < length / sizeof(*words); i += 2) {
		w->checksum[0] += (big ? be32toh(words[i]) : le32toh(words[i])) + w->checksum[1];
		w->checksum[1] +=
			(big ? be32toh(words[i + 1]) : le32toh(words[i + 1])) + w->checksum[0];
	}
}

static bool checksum_is(const struct log_walk *w, const uint32_t *checksum)
{
	return be32toh(checksum[0]) == w->checksum[0] && be32toh(checksum[1]) == w->checksum[1];
}

/* 1: there is a log. 0: SQLite would find an empty one. */
static int read_header(struct log_walk *w)
{
	ssize_t got = pread(w->fd, &w->header, sizeof(w->header), 0);

	if (got != (ssize_t)sizeof(w->header))
		return got < 0 ? -errno : 0;
	w->page_size = be32toh(w->header.page_size);
	if ((be32toh(w->header.magic) & ~1U) != MAGIC || w->page_size < 512 ||
	    w->page_size > PAGE_MAX || (w->page_size & (w->page_size - 1)))
		return 0;
	add_checksum(w, &w->header, offsetof(struct log_header, checksum));
	return checksum_is(w, w->header.checksum);
}

/* 1: it continues the log. */
static int read_frame(struct log_walk *w, off_t offset)
{
	size_t length = sizeof(*w->frame) + w->page_size;
	ssize_t got = pread(w->fd, w->frame, length, offset);

	if (got != (ssize_t)length)
		return got < 0 ? -errno : 0;
	if (w->frame->page == 0 ||
	    memcmp(w->frame->salt, w->header.salt, sizeof(w->frame->salt)) != 0)
		return 0;
	add_checksum(w, w->frame, offsetof(struct frame_header, salt));
	add_checksum(w, w->frame + 1, w->page_size);
	return checksum_is(w, w->frame->checksum);
}

static int write_again(int fd, const void *bytes, size_t length, off_t offset)
{
	ssize_t put = pwrite(fd, bytes, length, offset);

	if (put < 0)
		return -errno;
	return put == (ssize_t)length ? 0 : -ENOSPC;
}

/* The frames are counted to the end, although one cannot be written. */
static int rewrite_frames(struct log_walk *w)
{
	off_t length = (off_t)(sizeof(*w->frame) + w->page_size), offset = sizeof(w->header);
	int failed = write_again(w->fd, &w->header, sizeof(w->header), 0), found;

	for (; (found = read_frame(w, offset)) > 0; offset += length) {
		w->frames++;
		if (w->frame->pages != 0)
			w->committed = w->frames;
		if (failed == 0)
			failed = write_again(w->fd, w->frame, (size_t)length, offset);
	}
	if (found == 0 && failed == 0 && fdatasync(w->fd) < 0)
		return -errno;
	return found < 0 ? found : failed;
}

static int walk(struct log_walk *w)
{
	cleanup(free_ptr) struct frame_header *frame = malloc(sizeof(*frame) + PAGE_MAX);
	int code;

	if (!frame)
		return -ENOMEM;
	w->frame = frame;
	code = read_header(w);
	return code > 0 ? rewrite_frames(w) : code;
}

int database_log_rewrite(const char *database_path, uint32_t *ret_frames, struct error *e)
{
	struct log_walk w = { 0 };
	cleanup(free_ptr) char *path = NULL;
	cleanup(close_fd) int fd = -1;
	int code;

	*ret_frames = 0;
	if (asprintf(&path, "%s-wal", database_path) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "read the log of %s: out of memory", database_path);
	}
	w.fd = fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	code = fd < 0 ? -errno : walk(&w);
	*ret_frames = w.committed;
	if (code == -EIO)
		return database_log_failed(database_path, strerror(EIO), e);
	if (code == -ENOSPC || code == -EDQUOT)
		return error_set(e, -ENOSPC,
				 "no space for the database %s (%s): free some, for example with "
				 "varve prune",
				 database_path, strerror(-code));
	return code < 0 ? error_set(e, code, "write %s again: %s", path, strerror(-code)) : 0;
}
