/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_sink.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "layer/byte_ring.h"
#include "layer/deflate.h"

#define SLOT_BYTES ((size_t)256 << 10)
#define SLOTS 16

enum { HASHER, WRITER };

struct tar_sink {
	int output_fd;
	struct deflate *deflate;
	struct byte_ring *ring;
	char *slot; /* being filled; NULL: none */
	size_t filled;
	pthread_t threads[2];
	size_t thread_count;
	struct tar_sink_result result;
	struct digest_sum *blob_sum, *diff_sum;
	/* The first thing that went wrong. */
	pthread_mutex_t lock;
	struct error failure;
};

static void fail(struct tar_sink *s, const struct error *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->failure.code == 0)
		s->failure = *e;
	pthread_mutex_unlock(&s->lock);
	byte_ring_stop(s->ring);
}

static int write_output(const void *bytes, size_t length, void *sink, struct error *e)
{
	struct tar_sink *s = sink;
	const char *at = bytes;

	if (digest_sum_add(s->blob_sum, bytes, length) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	s->result.blob_bytes += length;
	while (length > 0) {
		ssize_t written = write(s->output_fd, at, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return error_set(e, written < 0 ? -errno : -EIO, "write the layer: %s",
					 strerror(written < 0 ? errno : EIO));
		at += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_all(struct tar_sink *s, struct error *e)
{
	const void *bytes = NULL;
	long length;

	while ((length = byte_ring_look(s->ring, WRITER, &bytes)) > 0) {
		int code =
			deflate_step(s->deflate, bytes, (size_t)length, false, write_output, s, e);

		byte_ring_pass(s->ring, WRITER);
		if (code < 0)
			return code;
	}
	/* Less than 0: the sink was stopped, for a reason that is reported elsewhere. */
	return length < 0 ? 0 : deflate_step(s->deflate, NULL, 0, true, write_output, s, e);
}

static void *run_writer(void *sink)
{
	struct tar_sink *s = sink;
	struct error e = { 0 };

	if (write_all(s, &e) < 0)
		fail(s, &e);
	return NULL;
}

static void *run_hash(void *sink)
{
	struct tar_sink *s = sink;
	struct error e = { 0 };
	const void *bytes = NULL;
	long length;

	while ((length = byte_ring_look(s->ring, HASHER, &bytes)) > 0) {
		if (digest_sum_add(s->diff_sum, bytes, (size_t)length) < 0) {
			error_set(&e, -ENOMEM, "out of memory");
			fail(s, &e);
		}
		s->result.diff_bytes += (uint64_t)length;
		byte_ring_pass(s->ring, HASHER);
	}
	return NULL;
}

static int start(struct tar_sink *s, void *(*run)(void *), struct error *e)
{
	int code = pthread_create(&s->threads[s->thread_count], NULL, run, s);

	if (code != 0)
		return error_set(e, -code, "start a thread: %s", strerror(code));
	s->thread_count++;
	return 0;
}

int tar_sink_open(int output_fd, enum tar_compression compression, struct tar_sink **ret_sink,
		  struct error *e)
{
	cleanup(tar_sink_free) struct tar_sink *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&s->lock, NULL); /* cannot fail with default attributes */
	s->output_fd = output_fd;
	s->deflate = deflate_new(compression);
	s->ring = byte_ring_new(SLOT_BYTES, SLOTS, 2);
	s->blob_sum = digest_sum_new();
	s->diff_sum = digest_sum_new();
	if (!s->deflate || !s->ring || !s->blob_sum || !s->diff_sum)
		return error_set(e, -ENOMEM, "out of memory");
	code = start(s, run_writer, e);
	if (code < 0)
		return code;
	code = start(s, run_hash, e);
	if (code < 0)
		return code;
	*ret_sink = take_ptr(s);
	return 0;
}

static void join(struct tar_sink *s)
{
	while (s->thread_count > 0)
		(void)pthread_join(s->threads[--s->thread_count], NULL); /* they are ours */
}

void tar_sink_free(struct tar_sink *s)
{
	if (!s)
		return;
	if (s->ring)
		byte_ring_stop(s->ring);
	join(s);
	byte_ring_free(s->ring);
	deflate_free(s->deflate);
	digest_sum_free(s->blob_sum);
	digest_sum_free(s->diff_sum);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static int report(struct tar_sink *s, struct error *e)
{
	int code;

	pthread_mutex_lock(&s->lock);
	code = s->failure.code < 0 ? s->failure.code : -ECANCELED;
	error_set(e, code, "%s", s->failure.code < 0 ? s->failure.text : "it was stopped");
	pthread_mutex_unlock(&s->lock);
	return code;
}

void *tar_sink_space(struct tar_sink *s, size_t *ret_size, struct error *e)
{
	if (!s->slot) {
		s->slot = byte_ring_reserve(s->ring);
		s->filled = 0;
	}
	if (!s->slot) {
		(void)report(s, e);
		return NULL;
	}
	*ret_size = SLOT_BYTES - s->filled;
	return s->slot + s->filled;
}

static void hand_over(struct tar_sink *s)
{
	byte_ring_publish(s->ring, s->filled);
	s->slot = NULL;
}

void tar_sink_filled(struct tar_sink *s, size_t length)
{
	s->filled += length;
	if (s->filled == SLOT_BYTES)
		hand_over(s);
}

/* Zeros where bytes is NULL. */
static int fill(struct tar_sink *s, const char *bytes, uint64_t length, struct error *e)
{
	while (length > 0) {
		size_t size = 0, part;
		void *space = tar_sink_space(s, &size, e);

		if (!space)
			return report(s, e);
		part = length < size ? (size_t)length : size;
		if (bytes) {
			memcpy(space, bytes, part);
			bytes += part;
		} else {
			memset(space, 0, part);
		}
		tar_sink_filled(s, part);
		length -= part;
	}
	return 0;
}

int tar_sink_write(struct tar_sink *s, const void *bytes, size_t length, struct error *e)
{
	return fill(s, bytes, length, e);
}

int tar_sink_zeros(struct tar_sink *s, uint64_t length, struct error *e)
{
	return fill(s, NULL, length, e);
}

int tar_sink_end(struct tar_sink *s, struct tar_sink_result *ret_result, struct error *e)
{
	if (s->slot && s->filled > 0)
		hand_over(s);
	byte_ring_end(s->ring, 0);
	join(s);
	if (s->failure.code < 0)
		return report(s, e);
	if (digest_sum_end(s->diff_sum, &s->result.diff_id) < 0 ||
	    digest_sum_end(s->blob_sum, &s->result.blob) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_result = s->result;
	return 0;
}
