/* SPDX-License-Identifier: Apache-2.0 */
#include "content/oci_layout.h"
#include "content/blob_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/new_file.h"
#include "base/regular_file.h"

#define BLOBS "blobs/sha256"
#define PATH_SIZE 100
#define OWN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
#define PIECE_SIZE (256 << 10)
#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"

/* Opens a regular file of the layout; links are followed within the layout. */
static int open_file(int layout, const char *path, int *ret_fd, int64_t *ret_size, struct error *e)
{
	int code = regular_file_open(layout, path, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS, ret_fd,
				     ret_size);

	if (code == -EINVAL)
		return error_set(e, -EBADMSG, "%s of the layout is not a regular file", path);
	if (code < 0)
		return error_set(e, code, "open %s of the layout: %s", path, strerror(-code));
	return 0;
}

static int read_file(int layout, const char *path, size_t maximum, void **ret_bytes,
		     size_t *ret_length, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	cleanup(free_ptr) char *bytes = NULL;
	size_t length = 0;
	int64_t size;
	ssize_t got;
	int code = open_file(layout, path, &fd, &size, e);

	if (code < 0)
		return code;
	if (size > (int64_t)maximum)
		return error_set(e, -EFBIG, "%s of the layout has more than %zu bytes", path,
				 maximum);
	bytes = malloc((size_t)size + 1);
	if (!bytes)
		return error_set(e, -ENOMEM, "out of memory");
	while (length < (size_t)size &&
	       (got = read(fd, bytes + length, (size_t)size - length)) != 0) {
		if (got < 0)
			return error_set(e, -errno, "read %s of the layout: %s", path,
					 strerror(errno));
		length += (size_t)got;
	}
	*ret_length = length;
	*ret_bytes = take_ptr(bytes);
	return 0;
}

int oci_layout_open(const char *path, int *ret_fd, struct error *e)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(free_ptr) void *text = NULL;
	size_t length;
	int code;

	if (fd < 0)
		return error_set(e, -errno, "open %s: %s", path, strerror(errno));
	code = read_file(fd, "oci-layout", 4096, &text, &length, e);
	if (code == -ENOENT)
		return error_set(e, -EBADMSG,
				 "%s is not an OCI layout: the file oci-layout is missing", path);
	if (code == 0 && !memmem(text, length, "\"imageLayoutVersion\"", 20))
		code = error_set(e, -EBADMSG,
				 "%s is not an OCI layout: its file oci-layout names no version",
				 path);
	if (code < 0)
		return code;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t put = write(fd, bytes, length);

		if (put < 0)
			return -errno;
		bytes += put;
		length -= (size_t)put;
	}
	return 0;
}

static int replace_file(int layout, const char *path, const void *bytes, size_t length,
			struct error *e)
{
	cleanup(new_file_end) struct new_file file = NEW_FILE_NONE;
	int code = new_file_begin(layout, &file);

	if (code == 0)
		code = write_all(file.fd, bytes, length);
	if (code == 0)
		code = new_file_publish(&file, path);
	return code < 0 ? error_set(e, code, "write %s of the layout: %s", path, strerror(-code))
			: 0;
}

/* Opens the directory of blobs without following links, so that writes stay in the layout. */
static int open_blobs(int layout, int *ret_fd, struct error *e)
{
	cleanup(close_fd) int blobs = openat(layout, "blobs", OWN_DIRECTORY);
	int fd = blobs < 0 ? -1 : openat(blobs, "sha256", OWN_DIRECTORY);

	if (fd < 0 && errno == ENOTDIR)
		return error_set(e, -ELOOP,
				 BLOBS " of the layout leads through a symbolic link or a file");
	if (fd < 0)
		return error_set(e, -errno, "open " BLOBS " of the layout: %s", strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int make_blobs(int layout, struct error *e)
{
	cleanup(close_fd) int blobs = -EBADF, sums = -EBADF;
	int code;

	code = directory_make(layout, "blobs", 0755);
	if (code < 0 && code != -EEXIST)
		return error_set(e, code, "make blobs of the layout: %s", strerror(-code));
	/* open_blobs() refuses a link in its place. */
	blobs = openat(layout, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	code = blobs < 0 ? 0 : directory_make(blobs, "sha256", 0755);
	if (code < 0 && code != -EEXIST)
		return error_set(e, code, "make " BLOBS " of the layout: %s", strerror(-code));
	return open_blobs(layout, &sums, e);
}

/* Whether the directory is a layout, or empty. */
static int check_free(int layout, const char *path, struct error *e)
{
	int copy = openat(layout, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(close_directory) DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (faccessat(layout, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (!d) {
		if (copy >= 0)
			(void)close(copy);
		return error_set(e, -EIO, "list %s", path);
	}
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return error_set(e, -EEXIST, "%s exists and is not an OCI layout", path);
	return 0;
}

int oci_layout_make(const char *path, int *ret_fd, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	int code;

	code = directory_make(AT_FDCWD, path, 0755);
	if (code < 0 && code != -EEXIST)
		return error_set(e, code, "make %s: %s", path, strerror(-code));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, -errno, "open %s: %s", path, strerror(errno));
	code = check_free(fd, path, e);
	if (code < 0)
		return code;
	/* First: what an export that was killed leaves behind is empty, or a layout. */
	code = replace_file(fd, "oci-layout", LAYOUT_TEXT, strlen(LAYOUT_TEXT), e);
	if (code < 0)
		return code;
	code = make_blobs(fd, e);
	if (code < 0)
		return code;
	*ret_fd = take_fd(&fd);
	return 0;
}

int oci_layout_read_index(int layout, size_t maximum, void **ret_bytes, size_t *ret_length,
			  struct error *e)
{
	return read_file(layout, "index.json", maximum, ret_bytes, ret_length, e);
}

int oci_layout_write_index(int layout, const void *bytes, size_t length, struct error *e)
{
	return replace_file(layout, "index.json", bytes, length, e);
}

static void blob_path(const struct digest *digest, char path[PATH_SIZE])
{
	(void)snprintf(path, PATH_SIZE, BLOBS "/%s", digest_hex(digest));
}

int oci_layout_blob_size(int layout, const struct digest *digest, int64_t *ret_size_bytes,
			 struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	char path[PATH_SIZE];

	blob_path(digest, path);
	return open_file(layout, path, &fd, ret_size_bytes, e);
}

static int say_progress(const struct oci_layout_copy *copy, int64_t done, struct error *e)
{
	if (copy->progress)
		copy->progress(done, copy->size_bytes, copy->user);
	if (copy->cancelled && atomic_load(copy->cancelled))
		return error_set(e, -ECANCELED, "cancelled");
	return 0;
}

static int pump_in(int fd, struct blob_writer *w, const struct oci_layout_copy *copy, char *piece,
		   struct error *e)
{
	int64_t done = 0;
	ssize_t got;
	int code = blob_writer_reset(w, e); /* a local copy is not worth resuming */

	if (code < 0)
		return code;
	while ((got = read(fd, piece, PIECE_SIZE)) != 0) {
		if (got < 0)
			return error_set(e, -errno, "read blob %s of the layout: %s",
					 copy->digest.text, strerror(errno));
		code = blob_writer_add(w, piece, (size_t)got, e);
		if (code < 0)
			return code;
		done += got;
		code = say_progress(copy, done, e);
		if (code < 0)
			return code;
	}
	return 0;
}

int oci_layout_take_blob(int layout, struct blob_store *store, const struct oci_layout_copy *copy,
			 struct error *e)
{
	struct blob_expectation expected = { &copy->digest, copy->size_bytes, copy->cancelled };
	cleanup(blob_writer_abandon) struct blob_writer *w = NULL;
	cleanup(free_ptr) char *piece = malloc(PIECE_SIZE);
	cleanup(close_fd) int fd = -EBADF;
	char path[PATH_SIZE];
	struct digest digest;
	int64_t size;
	int code;

	if (!piece)
		return error_set(e, -ENOMEM, "out of memory");
	blob_path(&copy->digest, path);
	code = open_file(layout, path, &fd, &size, e);
	if (code < 0)
		return code;
	if (size != copy->size_bytes)
		return error_set(e, -EBADMSG, "%s of the layout has %lld bytes, not %lld", path,
				 (long long)size, (long long)copy->size_bytes);
	code = blob_writer_begin(store, &expected, &w, &size, e);
	if (code < 0)
		return code == -EEXIST ? 0 : code;
	code = pump_in(fd, w, copy, piece, e);
	if (code < 0) {
		(void)blob_writer_reset(w, NULL); /* the disk may need it; the first error counts */
		return code;
	}
	return blob_writer_commit(take_ptr(w), &digest, &size, e);
}

static int write_failed(const struct oci_layout_copy *copy, int code, struct error *e)
{
	return error_set(e, code, "write blob %s: %s", copy->digest.text, strerror(-code));
}

/* Copies one piece, and hashes it: how many bytes it has, 0 at the end, or -errno. */
static ssize_t move_piece(int from, int to, char *piece, struct digest_sum *sum)
{
	ssize_t got = read(from, piece, PIECE_SIZE);
	int code;

	if (got <= 0)
		return got < 0 ? -errno : 0;
	code = digest_sum_add(sum, piece, (size_t)got);
	if (code < 0)
		return code;
	code = write_all(to, piece, (size_t)got);
	return code < 0 ? code : got;
}

static int pump_out(int from, int to, const struct oci_layout_copy *copy, struct error *e)
{
	cleanup(digest_sum_free) struct digest_sum *sum = digest_sum_new();
	cleanup(free_ptr) char *piece = malloc(PIECE_SIZE);
	struct digest digest;
	int64_t done = 0;
	ssize_t moved;
	int code;

	if (!sum || !piece)
		return write_failed(copy, -ENOMEM, e);
	while ((moved = move_piece(from, to, piece, sum)) > 0) {
		done += moved;
		code = say_progress(copy, done, e);
		if (code < 0)
			return code;
	}
	if (moved < 0)
		return write_failed(copy, (int)moved, e);
	code = digest_sum_end(sum, &digest);
	if (code < 0)
		return write_failed(copy, code, e);
	if (!digest_equal(&digest, &copy->digest))
		return error_set(e, -EBADMSG, "blob %s is damaged: it is %s now", copy->digest.text,
				 digest.text);
	return 0;
}

int oci_layout_give_blob(int layout, struct blob_store *store, const struct oci_layout_copy *copy,
			 struct error *e)
{
	cleanup(close_fd) int blobs = -EBADF, from = -EBADF;
	cleanup(new_file_end) struct new_file to = NEW_FILE_NONE;
	const char *name = digest_hex(&copy->digest);
	int64_t size;
	struct stat st;
	int code = open_blobs(layout, &blobs, e);

	if (code < 0)
		return code;
	if (fstatat(blobs, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size == copy->size_bytes)
		return 0;
	code = blob_store_open_blob(store, &copy->digest, &from, &size, e);
	if (code < 0)
		return code;
	code = new_file_begin(blobs, &to);
	if (code < 0)
		return write_failed(copy, code, e);
	code = pump_out(from, to.fd, copy, e);
	if (code < 0)
		return code;
	code = new_file_publish(&to, name);
	return code < 0 ? write_failed(copy, code, e) : 0;
}
