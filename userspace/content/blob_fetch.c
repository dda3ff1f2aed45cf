/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything from varve-fetch that can be checked is checked: sizes are counted, content is hashed.
 * Only the digest behind a tag is taken from the registry unchecked.
 */
#include "content/blob_fetch.h"
#include "content/blob_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "content/credentials_file.h"
#include "content/fetch_helper.h"

#define MANIFEST_MAX (4 * 1024 * 1024) /* the limit of registries */
#define UNKNOWN_SIZE_MAX (INT64_C(64) << 30) /* limit for a blob of unknown size */
#define STALL_SECONDS 30

struct transfer {
	const struct fetch_control *control;
	const char *what; /* "manifest", "blob" */
	struct fetch_request request;
	struct credentials credentials; /* from the credentials file */
};

static void transfer_end(struct transfer *t)
{
	credentials_free(&t->credentials);
}
DEFINE_CLEANUP_VALUE(struct transfer, transfer_end)

/* Adds what was to be transferred to the error, and why there is no password where docker has one.
 */
static int fail(const struct transfer *t, struct error *e)
{
	const struct fetch_request *r = &t->request;

	if (e && e->code == -EACCES && t->credentials.helper)
		error_context(e, "%s has no password for %s and leaves it to %s, which is not run",
			      t->control->credentials_file, r->registry, t->credentials.helper);
	return error_context(e, "%s/%s: %s %s", r->registry, r->repository, t->what, r->reference);
}

static int transfer_begin(struct transfer *t, const struct fetch_control *control,
			  const struct fetch_source *source, enum fetch_operation operation,
			  const char *reference, struct error *e)
{
	int code = 0;

	*t = (struct transfer){
		.control = control,
		.what = operation == FETCH_GET_BLOB || operation == FETCH_PUT_BLOB ? "blob"
										   : "manifest",
		.request = { .operation = operation,
			     .stall_seconds = control->stall_seconds ? control->stall_seconds
								     : STALL_SECONDS,
			     .registry = source->registry,
			     .repository = source->repository,
			     .reference = reference,
			     .media_type = "",
			     .credentials = "" },
	};
	code = fetch_request_check(&t->request, e);
	if (code < 0)
		return code;
	if (!source->credentials && control->credentials_file)
		code = credentials_file_find(control->credentials_file, source->registry,
					     source->repository, &t->credentials, e);
	if (source->credentials)
		t->request.credentials = source->credentials;
	else if (t->credentials.text)
		t->request.credentials = t->credentials.text;
	return code < 0 ? fail(t, e) : 0;
}

static void report_progress(const struct transfer *t, int64_t done_bytes, int64_t total_bytes)
{
	if (t->control->progress)
		t->control->progress(done_bytes, total_bytes, t->control->user);
}

/* Fails before any byte is read when the registry announces another digest. */
static int check_digest_said(const char *said, const char *expected, struct error *e)
{
	struct digest digest;

	/* A digest of another algorithm may be right. */
	if (!*said || digest_parse(said, &digest, NULL) < 0 || strcmp(said, expected) == 0)
		return 0;
	return error_set(e, -EBADMSG, "the registry says that the digest is %s", said);
}

struct manifest {
	struct strbuf bytes;
	char *media_type;
	char digest_said[DIGEST_TEXT_SIZE]; /* "": none */
};

static void manifest_free(struct manifest *m)
{
	strbuf_free(&m->bytes);
	free(m->media_type);
}
DEFINE_CLEANUP_VALUE(struct manifest, manifest_free)

static int take_manifest_facts(struct manifest *m, const struct fetch_reply *reply, struct error *e)
{
	if (reply->size_bytes > MANIFEST_MAX)
		return error_set(e, -EFBIG, "it has %" PRId64 " bytes (limit: %d)",
				 reply->size_bytes, MANIFEST_MAX);
	free(m->media_type);
	m->media_type = strdup(reply->media_type);
	if (!m->media_type)
		return error_set(e, -ENOMEM, "out of memory");
	m->digest_said[0] = '\0';
	if (strlen(reply->digest) < sizeof(m->digest_said))
		memcpy(m->digest_said, reply->digest, strlen(reply->digest) + 1);
	return 0;
}

static int take_manifest_bytes(struct manifest *m, const struct fetch_reply *reply, struct error *e)
{
	if (m->bytes.length + reply->length > MANIFEST_MAX)
		return error_set(e, -EFBIG, "more than %d bytes came", MANIFEST_MAX);
	strbuf_append_bytes(&m->bytes, reply->bytes, reply->length);
	return strbuf_failed(&m->bytes) ? error_set(e, -ENOMEM, "out of memory") : 0;
}

static int receive_manifest(const struct transfer *t, struct manifest *m, struct error *e)
{
	cleanup(fetch_helper_end) struct fetch_helper *h = NULL;
	struct fetch_reply reply = { .kind = FETCH_REPLY_RESTART };
	int code = fetch_helper_start(t->control, &t->request, -1, &h, e);

	while (code == 0 && reply.kind != FETCH_REPLY_DONE) {
		code = fetch_helper_next(h, &reply, e);
		if (code < 0)
			return code;
		if (reply.kind == FETCH_REPLY_FACTS)
			code = take_manifest_facts(m, &reply, e);
		else if (reply.kind == FETCH_REPLY_BYTES)
			code = take_manifest_bytes(m, &reply, e);
		else if (reply.kind == FETCH_REPLY_RESTART)
			strbuf_reset(&m->bytes);
	}
	return code;
}

static int verify_manifest(const struct transfer *t, const struct manifest *m,
			   struct digest *ret_digest, struct error *e)
{
	const char *asked = t->request.reference;

	if (!m->media_type || m->bytes.length == 0)
		return error_set(e, -EBADMSG, "the registry sent an empty manifest");
	if (digest_of(m->bytes.text, m->bytes.length, ret_digest) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (strchr(asked, ':') && strcmp(asked, ret_digest->text) != 0)
		return error_set(e, -EBADMSG, "the received bytes have the digest %s",
				 ret_digest->text);
	if (check_digest_said(m->digest_said, ret_digest->text, e) < 0)
		return error_context(e, "the received bytes have the digest %s", ret_digest->text);
	return 0;
}

int fetch_manifest(const struct fetch_control *control, const struct fetch_source *source,
		   const char *tag_or_digest, void **ret_bytes, size_t *ret_length,
		   char **ret_media_type, struct digest *ret_digest, struct error *e)
{
	cleanup(transfer_end) struct transfer t = { 0 };
	cleanup(manifest_free) struct manifest m = { 0 };
	struct digest digest;
	int code = transfer_begin(&t, control, source, FETCH_GET_MANIFEST, tag_or_digest, e);

	if (code < 0)
		return code;
	code = receive_manifest(&t, &m, e);
	if (code == 0)
		code = verify_manifest(&t, &m, &digest, e);
	if (code < 0)
		return fail(&t, e);
	*ret_length = m.bytes.length;
	*ret_bytes = strbuf_take(&m.bytes);
	*ret_media_type = take_ptr(m.media_type);
	*ret_digest = digest;
	return 0;
}

/* A blob that is being received. */
struct incoming {
	struct blob_writer *writer;
	const struct digest *digest;
	int64_t size_bytes; /* -1: not known */
	int64_t total_bytes; /* as announced by the registry */
	int64_t done_bytes;
};

static int take_blob_facts(struct incoming *b, const struct fetch_reply *reply, struct error *e)
{
	b->total_bytes = reply->size_bytes;
	if (b->size_bytes >= 0 && reply->size_bytes >= 0 && reply->size_bytes != b->size_bytes)
		return error_set(e, reply->size_bytes > b->size_bytes ? -EFBIG : -EBADMSG,
				 "the registry has %" PRId64 " bytes instead of %" PRId64 "",
				 reply->size_bytes, b->size_bytes);
	if (reply->size_bytes > UNKNOWN_SIZE_MAX && b->size_bytes < 0)
		return error_set(e, -EFBIG, "it has %" PRId64 " bytes (limit: %" PRId64 ")",
				 reply->size_bytes, UNKNOWN_SIZE_MAX);
	return check_digest_said(reply->digest, b->digest->text, e);
}

static int take_blob_bytes(struct incoming *b, const struct fetch_reply *reply, struct error *e)
{
	if (b->size_bytes < 0 && b->done_bytes + (int64_t)reply->length > UNKNOWN_SIZE_MAX)
		return error_set(e, -EFBIG, "more than %" PRId64 " bytes came", UNKNOWN_SIZE_MAX);
	b->done_bytes += (int64_t)reply->length;
	return blob_writer_add(b->writer, reply->bytes, reply->length, e);
}

static int receive_blob(const struct transfer *t, struct incoming *b, struct error *e)
{
	cleanup(fetch_helper_end) struct fetch_helper *h = NULL;
	struct fetch_reply reply = { .kind = FETCH_REPLY_FACTS };
	int code = fetch_helper_start(t->control, &t->request, -1, &h, e);

	while (code == 0 && reply.kind != FETCH_REPLY_DONE) {
		code = fetch_helper_next(h, &reply, e);
		if (code < 0)
			return code;
		if (reply.kind == FETCH_REPLY_FACTS) {
			code = take_blob_facts(b, &reply, e);
		} else if (reply.kind == FETCH_REPLY_BYTES) {
			code = take_blob_bytes(b, &reply, e);
		} else if (reply.kind == FETCH_REPLY_RESTART) {
			b->done_bytes = 0;
			code = blob_writer_reset(b->writer, e);
		}
		report_progress(t, b->done_bytes,
				b->size_bytes >= 0 ? b->size_bytes : b->total_bytes);
	}
	return code;
}

/* *ret_resumed: the download went on from a partial blob, which may have been damaged. */
static int fetch_once(struct transfer *t, struct blob_store *store, struct incoming *b,
		      bool *ret_resumed, struct error *e)
{
	struct blob_expectation expected = { .digest = b->digest,
					     .size_bytes = b->size_bytes,
					     .cancelled = t->control->cancelled };
	struct digest digest;
	int64_t size, offset = 0;
	int code = blob_writer_begin(store, &expected, &b->writer, &offset, e);

	*ret_resumed = offset > 0;
	if (code < 0)
		return code == -EEXIST ? 0 : code; /* another thread has fetched it */
	b->done_bytes = t->request.offset_bytes = offset;
	b->total_bytes = -1;
	if (b->size_bytes < 0 || offset < b->size_bytes)
		code = receive_blob(t, b, e);
	if (code < 0) {
		blob_writer_abandon(b->writer);
		return code;
	}
	return blob_writer_commit(b->writer, &digest, &size, e);
}

int fetch_blob(const struct fetch_control *control, struct blob_store *store,
	       const struct fetch_source *source, const struct digest *digest, int64_t size_bytes,
	       struct error *e)
{
	cleanup(transfer_end) struct transfer t = { 0 };
	struct incoming b = { .digest = digest, .size_bytes = size_bytes };
	bool resumed = false;
	int code;

	if (blob_store_has(store, digest))
		return 0;
	code = transfer_begin(&t, control, source, FETCH_GET_BLOB, digest->text, e);
	if (code < 0)
		return code;
	code = fetch_once(&t, store, &b, &resumed, e);
	/* The damaged partial blob was dropped: fetch once more from the start. */
	if (code == -EBADMSG && resumed && !blob_store_has(store, digest))
		code = fetch_once(&t, store, &b, &resumed, e);
	return code < 0 ? fail(&t, e) : 0;
}

/* Waits for the end of an upload. */
static int upload(const struct transfer *t, int fd, const struct digest *digest, struct error *e)
{
	cleanup(fetch_helper_end) struct fetch_helper *h = NULL;
	struct fetch_reply reply = { .kind = FETCH_REPLY_SENT };
	int code = fetch_helper_start(t->control, &t->request, fd, &h, e);

	while (code == 0 && reply.kind != FETCH_REPLY_DONE) {
		code = fetch_helper_next(h, &reply, e);
		if (code < 0)
			return code;
		if (reply.kind == FETCH_REPLY_SENT)
			report_progress(t, reply.size_bytes, t->request.size_bytes);
		else if (reply.kind == FETCH_REPLY_FACTS)
			code = check_digest_said(reply.digest, digest->text, e);
	}
	return code;
}

int push_blob(const struct fetch_control *control, struct blob_store *store,
	      const struct fetch_source *source, const struct digest *digest, struct error *e)
{
	cleanup(transfer_end) struct transfer t = { 0 };
	cleanup(close_fd) int fd = -EBADF;
	int code = transfer_begin(&t, control, source, FETCH_PUT_BLOB, digest->text, e);

	if (code < 0)
		return code;
	code = blob_store_open_blob(store, digest, &fd, &t.request.size_bytes, e);
	if (code == 0)
		code = upload(&t, fd, digest, e);
	return code < 0 ? fail(&t, e) : 0;
}

static int make_file(const void *bytes, size_t length, int *ret_fd)
{
	cleanup(close_fd) int fd = memfd_create("manifest", MFD_CLOEXEC);
	size_t written = 0;

	if (fd < 0)
		return -errno;
	while (written < length) {
		ssize_t n = write(fd, (const char *)bytes + written, length - written);

		if (n < 0 && errno != EINTR)
			return -errno;
		written += n > 0 ? (size_t)n : 0;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int push_manifest(const struct fetch_control *control, const struct fetch_source *source,
		  const char *tag, const char *media_type, const void *bytes, size_t length,
		  struct error *e)
{
	cleanup(transfer_end) struct transfer t = { 0 };
	cleanup(close_fd) int fd = -EBADF;
	struct digest digest;
	int code = transfer_begin(&t, control, source, FETCH_PUT_MANIFEST, tag, e);

	if (code < 0)
		return code;
	t.request.media_type = media_type;
	t.request.size_bytes = (int64_t)length;
	code = digest_of(bytes, length, &digest);
	if (code == 0)
		code = make_file(bytes, length, &fd);
	if (code < 0)
		error_set(e, code, "keep it in memory: %s", strerror(-code));
	else
		code = upload(&t, fd, &digest, e);
	return code < 0 ? fail(&t, e) : 0;
}
