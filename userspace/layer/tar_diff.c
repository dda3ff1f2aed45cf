/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_diff.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "layer/beneath.h"
#include "layer/file_attributes.h"
#include "layer/inode_names.h"
#include "layer/layer_walk.h"
#include "layer/tar_header.h"
#include "layer/tar_sink.h"
#include "layer/whiteout.h"

#define XATTR_RECORD "SCHILY.xattr."
#define OVERLAY_REDIRECT "trusted.overlay.redirect"
#define OVERLAY_METACOPY "trusted.overlay.metacopy"
#define OVERLAY_WHITEOUT "trusted.overlay.whiteout"

struct diff {
	const struct tar_diff_options *options;
	struct tar_sink *sink;
	struct inode_names *linked;
	struct strbuf blocks, records; /* kept for the next entry */
	char path[BENEATH_PATH_SIZE + 1]; /* of a directory, with a slash */
	uint64_t entries, file_bytes;
	char *names, *value; /* of extended attributes */
};

static bool is_cancelled(const struct diff *d)
{
	return d->options->cancelled &&
	       atomic_load_explicit(d->options->cancelled, memory_order_relaxed);
}

static int write_header(struct diff *d, const struct tar_header *h, struct error *e)
{
	strbuf_reset(&d->blocks);
	tar_header_append(&d->blocks, h);
	if (strbuf_failed(&d->blocks))
		return error_set(e, -ENOMEM, "out of memory");
	d->entries++;
	return tar_sink_write(d->sink, d->blocks.text, d->blocks.length, e);
}

/* ---- extended attributes ---- */

enum overlay_marks { MARK_OPAQUE = 1, MARK_WHITEOUT = 2 };

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Reads an attribute of overlayfs: a mark, or a note that the rest of the file is in a lower layer.
 */
static int read_mark(const char *name, const char *value, ssize_t size, int *marks, struct error *e)
{
	if (strcmp(name, OVERLAY_REDIRECT) == 0 || strcmp(name, OVERLAY_METACOPY) == 0)
		return error_set(e, -EOPNOTSUPP, "parts of it are in a lower layer (%s)", name);
	if (strcmp(name, OVERLAY_OPAQUE) == 0 && size == 1 && *value == 'y')
		*marks |= MARK_OPAQUE;
	if (strcmp(name, OVERLAY_WHITEOUT) == 0)
		*marks |= MARK_WHITEOUT;
	return 0;
}

static int read_xattr(struct diff *d, const char *path, const char *name, int *marks,
		      struct error *e)
{
	enum xattr_kind kind = xattr_kind_of(name);
	char key[sizeof(XATTR_RECORD) + XATTR_NAME_MAX];
	ssize_t size;

	size = lgetxattr(path, name, d->value, XATTR_SIZE_MAX);
	if (size < 0)
		return error_set(e, errno == ENODATA ? -ESTALE : -errno,
				 "read its attribute %.100s: %s", name, strerror(errno));
	if (kind == XATTR_OVERLAY)
		return read_mark(name, d->value, size, marks, e);
	if (kind != XATTR_CONTENT)
		return 0;
	if (strchr(name, '='))
		return error_set(e, -EOPNOTSUPP,
				 "the name of its attribute %.100s cannot be written down", name);
	(void)snprintf(key, sizeof(key), XATTR_RECORD "%s", name);
	tar_header_record(&d->records, key, d->value, (size_t)size);
	return 0;
}

/* Into d->records, sorted. */
static int read_xattrs(struct diff *d, const struct layer_entry *entry, int *ret_marks,
		       struct error *e)
{
	/* The system calls that take a directory descriptor exist since Linux 6.13. The last
	 * component is not followed. */
	char path[NAME_MAX + 40];
	cleanup(free_ptr) const char **order = NULL;
	size_t count = 0;
	ssize_t length;
	int code = 0;

	strbuf_reset(&d->records);
	*ret_marks = 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", entry->parent, entry->name);
	length = llistxattr(path, d->names, XATTR_LIST_MAX);
	if (length < 0 && errno != EOPNOTSUPP)
		return error_set(e, -errno, "list its attributes: %s", strerror(errno));
	if (length <= 0)
		return 0;
	order = calloc((size_t)length,
		       sizeof(*order)); /* each name has at least one byte, its NUL */
	if (!order)
		return error_set(e, -ENOMEM, "out of memory");
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(d->names + at) + 1)
		order[count++] = d->names + at;
	qsort(order, count, sizeof(*order), by_name);
	for (size_t i = 0; i < count && code == 0; i++)
		code = read_xattr(d, path, order[i], ret_marks, e);
	return code;
}

/* ---- content ---- */

static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int read_content(struct diff *d, int fd, uint64_t left, struct error *e)
{
	while (left > 0) {
		size_t size = 0;
		void *space = tar_sink_space(d->sink, &size, e);
		ssize_t length;

		if (!space)
			return e->code;
		if (is_cancelled(d))
			return error_set(e, -ECANCELED, "it was cancelled");
		length = read(fd, space, left < size ? (size_t)left : size);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return error_set(e, -errno, "read: %s", strerror(errno));
		if (length == 0)
			return error_set(e, -ESTALE, "it became shorter while it was read");
		tar_sink_filled(d->sink, (size_t)length);
		left -= (uint64_t)length;
		d->file_bytes += (uint64_t)length;
		if (d->options->progress)
			d->options->progress(d->file_bytes, d->options->user);
	}
	return 0;
}

/* Holes are written as zeros: their places depend on the file system, and equal contents must give
 * equal layers. */
static int write_file(struct diff *d, const struct layer_entry *entry, struct tar_header *h,
		      struct error *e)
{
	/* Does not block if a fifo has replaced the file. */
	cleanup(close_fd) int fd =
		openat(entry->parent, entry->name,
		       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	struct stat st;
	int code;

	if (fd < 0)
		return error_set(e, -errno, "open: %s", strerror(errno));
	h->size = (uint64_t)entry->st.st_size;
	code = write_header(d, h, e);
	if (code < 0)
		return code;
	code = read_content(d, fd, h->size, e);
	if (code < 0)
		return code;
	code = tar_sink_zeros(d->sink, tar_padding(h->size), e);
	if (code < 0)
		return code;
	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "look at it: %s", strerror(errno));
	return same_content(&st, &entry->st)
		       ? 0
		       : error_set(e, -ESTALE, "it changed while it was read");
}

/* ---- entries ---- */

/* A whiteout has no time of its own. */
static struct timespec bound_time(const struct diff *d, const struct timespec *time)
{
	const struct timespec none = { 0 }, *newest = d->options->newest;

	if (!newest)
		return time ? *time : none;
	if (!time || time->tv_sec > newest->tv_sec ||
	    (time->tv_sec == newest->tv_sec && time->tv_nsec > newest->tv_nsec))
		return *newest;
	return *time;
}

/* Writes a whiteout beside the hidden name, or into the opaque directory. */
static int write_whiteout(struct diff *d, const struct layer_entry *entry, bool opaque,
			  struct error *e)
{
	char path[BENEATH_PATH_SIZE + sizeof(WHITEOUT_OPAQUE)];
	size_t length = strlen(entry->path);
	struct tar_header h = { .type = TAR_FILE, .path = path, .mtime = bound_time(d, NULL) };

	if (opaque)
		(void)snprintf(path, sizeof(path), "%s%s" WHITEOUT_OPAQUE, entry->path,
			       length > 0 ? "/" : "");
	else
		(void)snprintf(path, sizeof(path), "%.*s" WHITEOUT_PREFIX "%s",
			       (int)(entry->name - entry->path), entry->path, entry->name);
	return write_header(d, &h, e);
}

static int write_directory(struct diff *d, const struct layer_entry *entry, struct tar_header *h,
			   int marks, struct error *e)
{
	int code;

	(void)snprintf(d->path, sizeof(d->path), "%s/", *entry->path ? entry->path : ".");
	h->path = d->path;
	code = write_header(d, h, e);
	if (code < 0 || !(marks & MARK_OPAQUE))
		return code;
	return write_whiteout(d, entry, true, e);
}

static int write_symlink(struct diff *d, const struct layer_entry *entry, struct tar_header *h,
			 struct error *e)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(entry->parent, entry->name, target, sizeof(target));

	if (length < 0)
		return error_set(e, -errno, "read the link: %s", strerror(errno));
	if (length == sizeof(target))
		return error_set(e, -ENAMETOOLONG, "its target is too long");
	target[length] = '\0';
	h->target = target;
	return write_header(d, h, e);
}

static int write_kind(struct diff *d, const struct layer_entry *entry, struct tar_header *h,
		      int marks, struct error *e)
{
	switch (entry->st.st_mode & S_IFMT) {
	case S_IFDIR:
		h->type = TAR_DIRECTORY;
		return write_directory(d, entry, h, marks, e);
	case S_IFREG:
		h->type = TAR_FILE;
		return write_file(d, entry, h, e);
	case S_IFLNK:
		h->type = TAR_SYMLINK;
		return write_symlink(d, entry, h, e);
	case S_IFIFO:
		h->type = TAR_FIFO;
		return write_header(d, h, e);
	default:
		h->type = S_ISCHR(entry->st.st_mode) ? TAR_CHARACTER : TAR_BLOCK_DEVICE;
		h->device = entry->st.st_rdev;
		return write_header(d, h, e);
	}
}

static int write_entry(struct diff *d, const struct layer_entry *entry, struct error *e)
{
	struct tar_header h = {
		.path = entry->path,
		.mode = entry->st.st_mode,
		.uid = entry->st.st_uid,
		.gid = entry->st.st_gid,
		.mtime = bound_time(d, &entry->st.st_mtim),
		.records = &d->records,
	};
	int marks, code;

	if (strlen(entry->path) >= BENEATH_PATH_SIZE)
		return error_set(e, -ENAMETOOLONG,
				 "its path is longer than %d bytes, and could not be unpacked",
				 BENEATH_PATH_SIZE - 1);
	if (S_ISSOCK(entry->st.st_mode)) /* a socket is useless without its program */
		return 0;
	/* Checked before links, because overlayfs makes whiteouts as links of each other. */
	if (S_ISCHR(entry->st.st_mode) && entry->st.st_rdev == makedev(0, 0))
		return write_whiteout(d, entry, false, e);
	if (whiteout_is_reserved(entry->name))
		return error_set(e, -EOPNOTSUPP, "a layer cannot hold a file of such a name");
	code = read_xattrs(d, entry, &marks, e);
	if (code < 0)
		return code;
	if ((marks & MARK_WHITEOUT) && S_ISREG(entry->st.st_mode) && entry->st.st_size == 0)
		return write_whiteout(d, entry, false, e);
	if (!S_ISDIR(entry->st.st_mode) && entry->st.st_nlink > 1) {
		code = inode_names_meet(d->linked, entry->st.st_ino, entry->path, &h.target);
		if (code < 0)
			return error_set(e, code, "out of memory");
	}
	if (h.target) {
		h.type = TAR_LINK;
		return write_header(d, &h, e);
	}
	return write_kind(d, entry, &h, marks, e);
}

static int write_entries(struct diff *d, struct error *e)
{
	cleanup(layer_walk_free) struct layer_walk *walk = NULL;
	char shown[BENEATH_SHOWN_SIZE];
	struct layer_entry entry;
	const struct layer_walk_options options = { .directory = d->options->layer_fd,
						    .sorted = true };
	int code = layer_walk_open(&options, &walk, e);

	while (code == 0 && (code = layer_walk_next(walk, &entry, e)) == 1) {
		if (is_cancelled(d))
			return error_set(e, -ECANCELED, "it was cancelled");
		code = write_entry(d, &entry, e);
		if (code < 0)
			return error_context(e, "%s",
					     beneath_show(*entry.path ? entry.path : ".", shown));
	}
	return code;
}

static int diff(struct diff *d, struct tar_sink_result *ret_result, struct error *e)
{
	cleanup(free_ptr) char *names = malloc(XATTR_LIST_MAX);
	cleanup(free_ptr) char *value = malloc(XATTR_SIZE_MAX);
	cleanup(inode_names_free) struct inode_names *linked = inode_names_new();
	cleanup(tar_sink_free) struct tar_sink *sink = NULL;
	int code;

	if (!names || !value || !linked)
		return error_set(e, -ENOMEM, "out of memory");
	code = tar_sink_open(d->options->output_fd, d->options->compression, &sink, e);
	if (code < 0)
		return code;
	d->names = names;
	d->value = value;
	d->linked = linked;
	d->sink = sink;
	code = write_entries(d, e);
	if (code < 0)
		return code;
	code = tar_sink_zeros(sink, 2 * TAR_BLOCK, e); /* the end of the archive */
	return code < 0 ? code : tar_sink_end(sink, ret_result, e);
}

int tar_diff(const struct tar_diff_options *options, struct tar_diff_result *ret_result,
	     struct error *e)
{
	struct diff d = { .options = options };
	struct tar_sink_result written;
	struct error own = { 0 };
	int code = diff(&d, &written, e ? e : &own);

	strbuf_free(&d.blocks);
	strbuf_free(&d.records);
	if (code < 0)
		return code;
	*ret_result = (struct tar_diff_result){
		.blob = written.blob,
		.diff_id = written.diff_id,
		.blob_bytes = written.blob_bytes,
		.diff_bytes = written.diff_bytes,
		.entries = d.entries,
	};
	return 0;
}
