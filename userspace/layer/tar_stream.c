/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "layer/byte_ring.h"
#include "layer/inflate.h"

/* Small enough for the rings to stay in the caches, large enough that passing one on is rare. */
#define SLOT_BYTES ((size_t)256 << 10)
#define SOURCE_SLOTS 8
#define PLAIN_SLOTS 16
/* How long a stop may wait for a source that sends nothing. */
#define POLL_MS 100

/* The consumers of the plain stream's ring. */
enum { CALLER, HASHER };

struct tar_stream {
	struct tar_stream_options options;
	enum tar_compression compression;
	bool pollable;
	char magic[INFLATE_MAGIC_BYTES]; /* read already */
	size_t magic_bytes;
	struct byte_ring *source; /* NULL when the stream is plain already */
	struct byte_ring *plain;
	pthread_t threads[3];
	size_t thread_count;
	bool looked; /* the caller holds a slot */
	atomic_bool stopping;
	struct tar_stream_result result;
	struct digest_sum *blob_sum, *diff_sum;
	/* The first thing that went wrong. */
	pthread_mutex_t lock;
	struct error failure;
};

static int fail(struct tar_stream *s, const struct error *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->failure.code == 0)
		s->failure = *e;
	pthread_mutex_unlock(&s->lock);
	return e->code;
}

static bool is_cancelled(const struct tar_stream *s)
{
	return atomic_load_explicit(&s->stopping, memory_order_relaxed) ||
	       (s->options.cancelled &&
		atomic_load_explicit(s->options.cancelled, memory_order_relaxed));
}

/* ---- reading the source ---- */

/* 0 at its end. */
static ssize_t read_some(struct tar_stream *s, char *bytes, size_t size, struct error *e)
{
	for (;;) {
		struct pollfd p = { .fd = s->options.source_fd, .events = POLLIN };
		ssize_t length;

		if (is_cancelled(s))
			return error_set(e, -ECANCELED, "it was cancelled");
		if (s->pollable && poll(&p, 1, POLL_MS) == 0)
			continue;
		length = read(s->options.source_fd, bytes, size);
		if (length >= 0)
			return length;
		if (errno != EINTR && errno != EAGAIN)
			return error_set(e, -errno, "read the layer: %s", strerror(errno));
	}
}

/* Fills the whole slot, because few full slots are faster than many with what a pipe happens to
 * hold. */
static ssize_t read_slot(struct tar_stream *s, char *bytes, size_t size, struct error *e)
{
	size_t filled = 0;

	while (filled < size) {
		ssize_t length = read_some(s, bytes + filled, size - filled, e);

		if (length < 0)
			return length;
		if (length == 0)
			break;
		filled += (size_t)length;
	}
	return (ssize_t)filled;
}

static int note_plain(struct tar_stream *s, size_t length, struct error *e)
{
	s->result.diff_bytes += length;
	if (s->options.max_bytes && s->result.diff_bytes > s->options.max_bytes)
		return error_set(e, -EFBIG, "the layer has more than %" PRIu64 " bytes",
				 s->options.max_bytes);
	return 0;
}

static int read_source(struct tar_stream *s, struct byte_ring *to, struct error *e)
{
	for (;;) {
		char *slot = byte_ring_reserve(to);
		size_t kept = s->magic_bytes;
		ssize_t length;

		if (!slot)
			return error_set(e, -ECANCELED, "it was stopped");
		memcpy(slot, s->magic, kept);
		s->magic_bytes = 0;
		length = read_slot(s, slot + kept, SLOT_BYTES - kept, e);
		if (length < 0)
			return (int)length;
		length += (ssize_t)kept;
		if (length == 0)
			return 0;
		if (!s->source && note_plain(s, (size_t)length, e) < 0)
			return e->code;
		/* A plain stream is hashed once, by the thread that does it. */
		if (s->source && digest_sum_add(s->blob_sum, slot, (size_t)length) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		byte_ring_publish(to, (size_t)length);
		s->result.blob_bytes += (size_t)length;
		if (s->options.progress)
			s->options.progress(s->result.blob_bytes, s->options.user);
	}
}

static void *run_source(void *stream)
{
	struct tar_stream *s = stream;
	struct byte_ring *to = s->source ? s->source : s->plain;
	struct error e = { 0 };
	int code = read_source(s, to, &e);

	byte_ring_end(to, code < 0 ? fail(s, &e) : 0);
	return NULL;
}

/* ---- inflating ---- */

static int publish(struct tar_stream *s, struct inflate_buffers *b, struct error *e)
{
	size_t length = SLOT_BYTES - b->out_left;
	int code = note_plain(s, length, e);

	if (code < 0)
		return code;
	if (length > 0)
		byte_ring_publish(s->plain, length);
	b->out = NULL;
	b->out_left = 0;
	return 0;
}

static int inflate_all(struct tar_stream *s, struct inflate *z, struct error *e)
{
	struct inflate_buffers b = { 0 };
	const void *in = NULL;
	long length = byte_ring_look(s->source, 0, &in);
	int code;

	for (; length > 0; length = byte_ring_look(s->source, 0, &in)) {
		b.in = in;
		b.in_left = (size_t)length;
		do {
			if (!b.out) {
				b.out = byte_ring_reserve(s->plain);
				b.out_left = SLOT_BYTES;
			}
			if (!b.out)
				return error_set(e, -ECANCELED, "it was stopped");
			code = inflate_step(z, &b, e);
			if (code == 0 && b.out_left == 0)
				code = publish(s, &b, e);
			else if (code < 0)
				(void)publish(s, &b, NULL); /* the first error counts */
			if (code < 0)
				return code;
		} while (b.in_left > 0 || !b.out);
		byte_ring_pass(s->source, 0);
	}
	if (b.out) {
		code = publish(s, &b, e);
		if (code < 0)
			return code;
	}
	if (length < 0) /* the thread that ended the ring reported why */
		return error_set(e, (int)length, "the source ended early");
	return inflate_end(z, e);
}

static void *run_inflate(void *stream)
{
	struct tar_stream *s = stream;
	cleanup(inflate_free) struct inflate *z = inflate_new(s->compression);
	struct error e = { 0 };
	int code = z ? inflate_all(s, z, &e) : error_set(&e, -ENOMEM, "out of memory");

	byte_ring_end(s->plain, code < 0 ? fail(s, &e) : 0);
	return NULL;
}

/* ---- hashing ---- */

static void *run_hash(void *stream)
{
	struct tar_stream *s = stream;
	const void *bytes = NULL;
	long length;

	while ((length = byte_ring_look(s->plain, HASHER, &bytes)) > 0) {
		if (digest_sum_add(s->diff_sum, bytes, (size_t)length) < 0) {
			struct error e = { 0 };

			error_set(&e, -ENOMEM, "out of memory");
			(void)fail(s, &e);
			byte_ring_stop(s->plain);
			return NULL;
		}
		byte_ring_pass(s->plain, HASHER);
	}
	return NULL;
}

/* ---- the whole ---- */

static int start(struct tar_stream *s, void *(*run)(void *), struct error *e)
{
	int code = pthread_create(&s->threads[s->thread_count], NULL, run, s);

	if (code != 0)
		return error_set(e, -code, "start a thread: %s", strerror(code));
	s->thread_count++;
	return 0;
}

static int prepare(struct tar_stream *s, struct error *e)
{
	struct stat st;
	ssize_t length;
	int code;

	s->pollable = fstat(s->options.source_fd, &st) < 0 || !S_ISREG(st.st_mode);
	s->blob_sum = digest_sum_new();
	s->diff_sum = digest_sum_new();
	if (!s->blob_sum || !s->diff_sum)
		return error_set(e, -ENOMEM, "out of memory");
	length = read_slot(s, s->magic, sizeof(s->magic), e);
	if (length < 0)
		return (int)length;
	s->magic_bytes = (size_t)length;
	code = inflate_detect(s->magic, s->magic_bytes, &s->compression, e);
	if (code < 0)
		return code;
	s->plain = byte_ring_new(SLOT_BYTES, PLAIN_SLOTS, 2);
	if (s->compression != TAR_COMPRESSION_NONE)
		s->source = byte_ring_new(SLOT_BYTES, SOURCE_SLOTS, 1);
	if (!s->plain || (!s->source && s->compression != TAR_COMPRESSION_NONE))
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int start_threads(struct tar_stream *s, struct error *e)
{
	int code = start(s, run_source, e);

	if (code < 0)
		return code;
	code = s->source ? start(s, run_inflate, e) : 0;
	return code < 0 ? code : start(s, run_hash, e);
}

int tar_stream_open(const struct tar_stream_options *options, struct tar_stream **ret_stream,
		    struct error *e)
{
	cleanup(tar_stream_free) struct tar_stream *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&s->lock, NULL); /* cannot fail with default attributes */
	s->options = *options;
	code = prepare(s, e);
	if (code < 0)
		return code;
	code = start_threads(s, e);
	if (code < 0)
		return code;
	*ret_stream = take_ptr(s);
	return 0;
}

static void join(struct tar_stream *s)
{
	while (s->thread_count > 0)
		(void)pthread_join(s->threads[--s->thread_count], NULL); /* they are ours */
}

void tar_stream_free(struct tar_stream *s)
{
	if (!s)
		return;
	atomic_store(&s->stopping, true);
	if (s->source)
		byte_ring_stop(s->source);
	if (s->plain)
		byte_ring_stop(s->plain);
	join(s);
	byte_ring_free(s->source);
	byte_ring_free(s->plain);
	digest_sum_free(s->blob_sum);
	digest_sum_free(s->diff_sum);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static int report(struct tar_stream *s, int code, struct error *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->failure.code < 0)
		code = error_set(e, s->failure.code, "%s", s->failure.text);
	else
		code = error_set(e, code, "the layer cannot be read: %s", strerror(-code));
	pthread_mutex_unlock(&s->lock);
	return code;
}

long tar_stream_read(struct tar_stream *s, const void **ret_bytes, struct error *e)
{
	long length;

	if (s->looked)
		byte_ring_pass(s->plain, CALLER);
	length = byte_ring_look(s->plain, CALLER, ret_bytes);
	s->looked = length > 0;
	return length < 0 ? report(s, (int)length, e) : length;
}

int tar_stream_end(struct tar_stream *s, struct tar_stream_result *ret_result, struct error *e)
{
	join(s);
	if (s->failure.code < 0)
		return report(s, s->failure.code, e);
	if (digest_sum_end(s->diff_sum, &s->result.diff_id) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (!s->source)
		s->result.blob = s->result.diff_id;
	else if (digest_sum_end(s->blob_sum, &s->result.blob) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_result = s->result;
	return 0;
}
