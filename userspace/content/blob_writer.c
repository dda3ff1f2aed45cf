/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash order: write → fsync → rename → fsync of blobs/. A crash between two of these leaves a file
 * in ingest/ or a whole blob. Files in ingest/ are named by digest, so that the next writer finds
 * a partial blob; it hashes the bytes again.
 */
#include "content/blob_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "content/blob_store_state.h"

#define READ_BYTES (256 * 1024)

struct blob_writer {
	struct blob_store *store;
	struct blob_claim claim;
	bool claimed;
	int fd;
	struct digest expected; /* "": not known */
	int64_t expected_bytes, written_bytes;
	struct digest_sum *sum;
};

static const char *writer_name(const struct blob_writer *w)
{
	return w->expected.text[0] ? w->expected.text : "of a digest to come";
}

/* Frees the writer and releases its claim; the file stays. */
static void end(struct blob_writer *w)
{
	cleanup_close_fd(&w->fd);
	digest_sum_free(w->sum);
	if (w->claimed)
		blob_claims_release(&w->store->claims, &w->claim);
	free(w);
}

static void discard(struct blob_writer *w)
{
	if (w->fd >= 0)
		(void)unlinkat(w->store->ingest_fd, w->claim.name,
			       0); /* on failure the sweep removes it */
	end(w);
}

void blob_writer_abandon(struct blob_writer *w)
{
	if (!w)
		return;
	if (w->expected.text[0] && w->written_bytes > 0)
		end(w);
	else
		discard(w);
}

/* Hashes the bytes that an earlier writer left. */
static int hash_left(struct blob_writer *w, struct error *e)
{
	cleanup(free_ptr) char *buffer = malloc(READ_BYTES);
	ssize_t length;
	int code = buffer ? 0 : -ENOMEM;

	while (code == 0) {
		length = pread(w->fd, buffer, READ_BYTES, w->written_bytes);
		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0) {
			code = length < 0 ? -errno : 0;
			break;
		}
		code = digest_sum_add(w->sum, buffer, (size_t)length);
		w->written_bytes += length;
	}
	if (code < 0) {
		w->written_bytes = 0; /* unreadable bytes are not kept */
		return error_set(e, code, "read the partial blob %s: %s", writer_name(w),
				 strerror(-code));
	}
	return 0;
}

static int open_part(struct blob_writer *w, struct error *e)
{
	int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat st;

	w->fd = openat(w->store->ingest_fd, w->claim.name,
		       w->expected.text[0] ? flags : flags | O_EXCL, 0600);
	if (w->fd < 0 || fstat(w->fd, &st) < 0)
		return error_set(e, -errno, "write blob %s: open ingest/%s: %s", writer_name(w),
				 w->claim.name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EIO, "write blob %s: ingest/%s is not a regular file",
				 writer_name(w), w->claim.name);
	if (w->expected_bytes >= 0 && st.st_size > w->expected_bytes)
		return blob_writer_reset(w, e); /* an earlier writer expected another size */
	return hash_left(w, e);
}

/* Waits for other writers of the same blob. */
static int claim_name(struct blob_writer *w, const atomic_bool *cancelled, struct error *e)
{
	struct blob_store *s = w->store;
	int code;

	if (w->expected.text[0])
		(void)snprintf(w->claim.name, sizeof(w->claim.name), "%s",
			       digest_hex(&w->expected));
	else
		(void)snprintf(w->claim.name, sizeof(w->claim.name), "new-%" PRIx64 "-%" PRIx64,
			       (uint64_t)clock_wall_ns(), blob_claims_next_number(&s->claims));
	code = blob_claims_take(&s->claims, &w->claim, cancelled);
	if (code == -ECANCELED)
		return error_set(e, code,
				 "write blob %s: cancelled while waiting for another writer",
				 writer_name(w));
	if (code < 0)
		return error_set(e, code, "write blob %s: %s", writer_name(w), strerror(-code));
	w->claimed = true;
	if (w->expected.text[0] && blob_store_has(s, &w->expected))
		return error_set(e, -EEXIST, "the blob %s exists already", writer_name(w));
	return 0;
}

int blob_writer_begin(struct blob_store *s, const struct blob_expectation *expected,
		      struct blob_writer **ret_writer, int64_t *ret_offset, struct error *e)
{
	cleanup(blob_writer_abandon) struct blob_writer *w = calloc(1, sizeof(*w));
	int code;

	if (!w)
		return error_set(e, -ENOMEM, "write a blob: out of memory");
	w->store = s;
	w->fd = -EBADF;
	w->expected_bytes = expected->size_bytes;
	if (expected->digest)
		w->expected = *expected->digest;
	w->sum = digest_sum_new();
	if (!w->sum)
		return error_set(e, -ENOMEM, "write blob %s: out of memory", writer_name(w));
	code = claim_name(w, expected->cancelled, e);
	if (code == 0)
		code = open_part(w, e);
	if (code < 0)
		return code;
	*ret_offset = w->written_bytes;
	*ret_writer = take_ptr(w);
	return 0;
}

int blob_writer_add(struct blob_writer *w, const void *bytes, size_t length, struct error *e)
{
	const char *at = bytes;

	if (w->expected_bytes >= 0 &&
	    (uint64_t)length > (uint64_t)(w->expected_bytes - w->written_bytes))
		return error_set(e, -EFBIG, "blob %s: more than its %" PRId64 " bytes came",
				 writer_name(w), w->expected_bytes);
	while (length > 0) {
		ssize_t written = pwrite(w->fd, at, length, w->written_bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_set(e, -errno, "write blob %s: %s", writer_name(w),
					 strerror(errno));
		if (digest_sum_add(w->sum, at, (size_t)written) < 0)
			return error_set(e, -ENOMEM, "write blob %s: out of memory",
					 writer_name(w));
		w->written_bytes += written;
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

int blob_writer_reset(struct blob_writer *w, struct error *e)
{
	struct digest dropped;

	if (ftruncate(w->fd, 0) < 0)
		return error_set(e, -errno, "write blob %s: start over: %s", writer_name(w),
				 strerror(errno));
	w->written_bytes = 0;
	if (digest_sum_end(w->sum, &dropped) < 0)
		return error_set(e, -ENOMEM, "write blob %s: out of memory", writer_name(w));
	return 0;
}

/* After a failed fsync the state of the disk is unknown, so the bytes are not kept. */
static int verify(struct blob_writer *w, struct digest *ret_digest, struct error *e)
{
	if (digest_sum_end(w->sum, ret_digest) < 0)
		return error_set(e, -ENOMEM, "write blob %s: out of memory", writer_name(w));
	if (w->expected.text[0] && !digest_equal(ret_digest, &w->expected))
		return error_set(e, -EBADMSG, "the blob %s is damaged: its digest is %s",
				 w->expected.text, ret_digest->text);
	if (fsync(w->fd) < 0)
		return error_set(e, -errno, "sync blob %s: %s", ret_digest->text, strerror(errno));
	return 0;
}

static int publish(struct blob_writer *w, const struct digest *digest, struct error *e)
{
	struct blob_store *s = w->store;
	int code;

	if (renameat(s->ingest_fd, w->claim.name, s->blobs_fd, digest_hex(digest)) < 0)
		return error_set(e, -errno, "write blob %s: rename: %s", digest->text,
				 strerror(errno));
	if (fsync(s->blobs_fd) == 0)
		return 0;
	code = error_set(e, -errno, "sync the folder of blob %s: %s", digest->text,
			 strerror(errno));
	(void)unlinkat(s->blobs_fd, digest_hex(digest), 0); /* the error of the sync is reported */
	return code;
}

int blob_writer_commit(struct blob_writer *w, struct digest *ret_digest, int64_t *ret_size_bytes,
		       struct error *e)
{
	int64_t size = w->written_bytes;
	struct digest digest;
	int code;

	if (w->expected_bytes >= 0 && size < w->expected_bytes) {
		code = error_set(e, -ENODATA, "blob %s: only %" PRId64 " of %" PRId64 " bytes came",
				 writer_name(w), size, w->expected_bytes);
		blob_writer_abandon(w);
		return code;
	}
	code = verify(w, &digest, e);
	if (code < 0) {
		discard(w);
		return code;
	}
	code = publish(w, &digest, e);
	if (code < 0) {
		blob_writer_abandon(w); /* the file is whole: the next writer only commits it */
		return code;
	}
	end(w);
	*ret_digest = digest;
	*ret_size_bytes = size;
	return 0;
}
