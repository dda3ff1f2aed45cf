/* SPDX-License-Identifier: Apache-2.0 */
#include "content/blob_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "content/blob_store_state.h"

#define HEX_DIGITS 64

/* open(2) says of a link as of a file that it is no directory. */
static int refuse_directory(int parent, const char *name, int code, struct error *e)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		code = -ELOOP;
	return error_set(e, code, "open %s/: %s", name, strerror(-code));
}

/* Opens the directory, and makes it, durably, where it is missing. */
static int open_directory(int parent, const char *name, struct error *e)
{
	int fd;

	if (mkdirat(parent, name, 0700) == 0) {
		if (fsync(parent) < 0)
			return error_set(e, -errno, "sync the folder of %s/: %s", name,
					 strerror(errno));
	} else if (errno != EEXIST) {
		return error_set(e, -errno, "make %s/: %s", name, strerror(errno));
	}
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return refuse_directory(parent, name, -errno, e);
	/* An earlier version, or a person, may have opened it to others. */
	if (fchmod(fd, 0700) < 0) {
		int code = error_set(e, -errno, "chmod %s/: %s", name, strerror(errno));

		(void)close(fd); /* nothing was written through it */
		return code;
	}
	return fd;
}

static int open_directories(struct blob_store *s, int root, struct error *e)
{
	cleanup(close_fd) int blobs = open_directory(root, "blobs", e);

	if (blobs < 0)
		return blobs;
	s->blobs_fd = open_directory(blobs, "sha256", e);
	if (s->blobs_fd < 0)
		return s->blobs_fd;
	s->ingest_fd = open_directory(root, "ingest", e);
	return s->ingest_fd < 0 ? s->ingest_fd : 0;
}

int blob_store_open(int root, struct blob_store **ret_store, struct error *e)
{
	cleanup(blob_store_close) struct blob_store *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return error_set(e, -ENOMEM, "open the blob store: out of memory");
	s->blobs_fd = s->ingest_fd = -EBADF;
	code = blob_claims_init(&s->claims);
	if (code < 0)
		return error_set(e, code, "open the blob store: %s", strerror(-code));
	code = open_directories(s, root, e);
	if (code < 0)
		return code;
	*ret_store = take_ptr(s);
	return 0;
}

void blob_store_close(struct blob_store *s)
{
	if (!s)
		return;
	cleanup_close_fd(&s->blobs_fd);
	cleanup_close_fd(&s->ingest_fd);
	blob_claims_destroy(&s->claims);
	free(s);
}

int blob_store_open_blob(struct blob_store *s, const struct digest *digest, int *ret_fd,
			 int64_t *ret_size_bytes, struct error *e)
{
	cleanup(close_fd) int fd = openat(s->blobs_fd, digest_hex(digest),
					  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return error_set(e, -ENOENT, "the blob %s is not in the store", digest->text);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(e, -errno, "open blob %s: %s", digest->text, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EIO, "the blob %s is not a regular file", digest->text);
	*ret_size_bytes = st.st_size;
	*ret_fd = take_fd(&fd);
	return 0;
}

bool blob_store_has(struct blob_store *s, const struct digest *digest)
{
	struct stat st;

	return fstatat(s->blobs_fd, digest_hex(digest), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

int blob_store_remove(struct blob_store *s, const struct digest *digest, struct error *e)
{
	if (unlinkat(s->blobs_fd, digest_hex(digest), 0) < 0 && errno != ENOENT)
		return error_set(e, -errno, "remove blob %s: %s", digest->text, strerror(errno));
	return 0;
}

/* A new open file: the position of readdir() belongs to it. */
static DIR *open_stream(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		(void)close(fd);
	return d;
}

static bool is_blob_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == HEX_DIGITS && !name[HEX_DIGITS];
}

int blob_store_list(struct blob_store *s,
		    int (*visit)(const struct digest *digest, int64_t size_bytes, void *user),
		    void *user, struct error *e)
{
	cleanup(close_directory) DIR *d = open_stream(s->blobs_fd);
	struct dirent *entry;
	struct digest digest;
	struct stat st;

	if (!d)
		return error_set(e, -errno, "open blobs/: %s", strerror(errno));
	while (errno = 0, (entry = readdir(d))) {
		int code;

		if (!is_blob_name(entry->d_name) ||
		    fstatat(s->blobs_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue; /* not a blob, or removed meanwhile */
		memcpy(stpcpy(digest.text, "sha256:"), entry->d_name, HEX_DIGITS + 1);
		code = visit(&digest, st.st_size, user);
		if (code < 0)
			return code;
	}
	return errno ? error_set(e, -errno, "read blobs/: %s", strerror(errno)) : 0;
}

/* The caller has claimed the name. */
static int sweep_file(struct blob_store *s, const char *name, int64_t older_than_ns,
		      struct error *e)
{
	struct stat st;

	if (fstatat(s->ingest_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* a writer has just ended */
	if (older_than_ns > 0 &&
	    clock_wall_ns() - (st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec) < older_than_ns)
		return 0;
	if (unlinkat(s->ingest_fd, name, 0) < 0 && errno != ENOENT)
		return error_set(e, -errno, "remove ingest/%s: %s", name, strerror(errno));
	return 0;
}

int blob_store_sweep_ingest(struct blob_store *s, int64_t older_than_ns, struct error *e)
{
	cleanup(close_directory) DIR *d = open_stream(s->ingest_fd);
	struct dirent *entry;

	if (!d)
		return error_set(e, -errno, "open ingest/: %s", strerror(errno));
	while (errno = 0, (entry = readdir(d))) {
		struct blob_claim claim;
		int code;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    strlen(entry->d_name) >= sizeof(claim.name))
			continue; /* the store makes no longer names */
		memcpy(claim.name, entry->d_name, strlen(entry->d_name) + 1);
		code = blob_claims_try(&s->claims, &claim);
		if (code == -EBUSY)
			continue;
		if (code < 0)
			return error_set(e, code, "sweep ingest/: %s", strerror(-code));
		code = sweep_file(s, claim.name, older_than_ns, e);
		blob_claims_release(&s->claims, &claim);
		if (code < 0)
			return code;
	}
	return errno ? error_set(e, -errno, "read ingest/: %s", strerror(errno)) : 0;
}
