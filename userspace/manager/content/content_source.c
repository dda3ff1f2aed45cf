/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/regular_file.h"
#include "base/clock.h"
#include "content/blob_fetch.h"
#include "manager/content/fetch_note.h"
#include "content/blob_store.h"
#include "content/oci_layout.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "layer/tar_apply.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"

#define INDEX_DEPTH 4 /* how deep indexes may be nested */
#define ARCHIVE_ENTRIES 100000 /* at most in an archive of a layout */

struct fetch_control content_source_control(struct manager *m, const atomic_bool *cancelled)
{
	return (struct fetch_control){ .helper = m->fetch_helper,
				       .credentials_file = m->credentials_file,
				       .cancelled = cancelled };
}

int content_source_read(struct manager *m, const struct digest *digest, void **ret_bytes,
			size_t *ret_length, struct error *e)
{
	cleanup(free_ptr) char *bytes = NULL;
	cleanup(close_fd) int fd = -EBADF;
	size_t length = 0;
	int64_t size;
	int code = blob_store_open_blob(m->blobs, digest, &fd, &size, e);

	if (code < 0)
		return code;
	if (size > IMAGE_JSON_MAX)
		return error_set(e, -EFBIG, "%s has %lld bytes, more than the limit of %d",
				 digest->text, (long long)size, IMAGE_JSON_MAX);
	bytes = malloc((size_t)size + 1);
	if (!bytes)
		return error_set(e, -ENOMEM, "out of memory");
	while (length < (size_t)size) {
		ssize_t got = read(fd, bytes + length, (size_t)size - length);

		if (got <= 0)
			return error_set(e, got < 0 ? -errno : -EIO, "read blob %s", digest->text);
		length += (size_t)got;
	}
	*ret_length = length;
	*ret_bytes = take_ptr(bytes);
	return 0;
}

/* ---- archives ---- */

static void unpacked(uint64_t bytes, void *user)
{
	struct content_source *s = user;

	/* A cancellation reaches tar_apply() by the flag that it looks at. */
	(void)content_progress_say(s->progress, "copy", s->reference->path, (int64_t)bytes, -1);
}

static int unpack_archive(struct content_source *s, int directory, struct error *e)
{
	const char *path = s->reference->path;
	cleanup(close_fd) int archive = -EBADF;
	struct tar_apply_options options = { .layer_fd = directory,
					     .no_nodes = true,
					     .max_entries = ARCHIVE_ENTRIES,
					     .cancelled = content_progress_stop(s->progress),
					     .progress = unpacked,
					     .user = s };
	struct tar_apply_result result;
	int64_t size;
	int code = regular_file_open(AT_FDCWD, path, 0, &archive, &size);

	if (code == -EINVAL)
		return error_set(e, code, "%s is not a regular file", path);
	if (code < 0)
		return error_set(e, code, "open %s: %s", path, strerror(-code));
	options.source_fd = archive;
	code = tar_apply(&options, &result, e);
	return code < 0 ? error_context(e, "unpack %s", path) : 0;
}

/* Unpacks the archive into scratch/, where it is a layout like any other. */
static int open_archive(struct content_source *s, struct error *e)
{
	cleanup(free_ptr) char *path = NULL;
	cleanup(close_fd) int directory = -EBADF;
	int code = store_files_make_scratch(s->m, &s->scratch, e);

	if (code < 0)
		return code;
	directory = openat(s->m->root_fd, s->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return error_set(e, -errno, "open %s: %s", s->scratch, strerror(errno));
	code = unpack_archive(s, directory, e);
	if (code < 0)
		return code;
	if (asprintf(&path, "%s/%s", s->m->root, s->scratch) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (oci_layout_open(path, &s->layout_fd, NULL) < 0)
		return error_set(e, -EBADMSG, "%s is not an archive of an OCI layout",
				 s->reference->path);
	return 0;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

int content_source_parse(const char *text, struct image_reference *ret_reference, struct error *e)
{
	cleanup(image_reference_free) struct image_reference r = { 0 };
	int code = image_reference_parse(text, &r, e);

	if (code < 0)
		return code;
	if (r.path && r.path[0] != '/')
		return error_set(e, -EINVAL, "'%s': the path has to be absolute", r.text);
	code = image_reference_find_path(&r, r.transport == IMAGE_OCI ? is_directory : is_file, e);
	if (code < 0)
		return code;
	*ret_reference = r;
	r = (struct image_reference){ 0 };
	return 0;
}

int content_source_open(struct manager *m, const struct image_reference *reference,
			struct content_progress *progress, struct content_source *ret_source,
			struct error *e)
{
	*ret_source = (struct content_source){
		.m = m,
		.reference = reference,
		.progress = progress,
		.layout_fd = -EBADF,
		.registry = { .registry = reference->registry, .repository = reference->repository }
	};
	if (reference->transport == IMAGE_OCI)
		return oci_layout_open(reference->path, &ret_source->layout_fd, e);
	if (reference->transport == IMAGE_OCI_ARCHIVE)
		return open_archive(ret_source, e);
	return 0;
}

void content_source_close(struct content_source *s)
{
	if (!s->m)
		return;
	cleanup_close_fd(&s->layout_fd);
	if (s->scratch)
		store_files_drop_scratch(s->m, s->scratch);
	free(s->scratch);
	*s = (struct content_source){ .m = NULL };
}

/* ---- blobs ---- */

struct bring_watch {
	struct content_source *source;
	const char *digest;
	const char *action;
};

static void brought(int64_t done_bytes, int64_t total_bytes, void *user)
{
	const struct bring_watch *w = user;

	/* A cancellation reaches the copy, or fetch, by the flag that it looks at. */
	(void)content_progress_say(w->source->progress, w->action, w->digest, done_bytes,
				   total_bytes);
}

static int bring_from_layout(struct content_source *s, const struct image_descriptor *blob,
			     struct error *e)
{
	struct bring_watch watch = { s, blob->digest.text, "copy" };
	struct oci_layout_copy copy = { .digest = blob->digest,
					.size_bytes = blob->size_bytes,
					.cancelled = content_progress_stop(s->progress),
					.progress = brought,
					.user = &watch };
	int code = oci_layout_take_blob(s->layout_fd, s->m->blobs, &copy, e);

	return code < 0 ? error_context(e, "%s", s->reference->path) : 0;
}

static int bring_from_registry(struct content_source *s, const struct image_descriptor *blob,
			       struct error *e)
{
	struct bring_watch watch = { s, blob->digest.text, "fetch" };
	struct fetch_control control =
		content_source_control(s->m, content_progress_stop(s->progress));
	int64_t begun_ns = clock_monotonic_ns();
	int code;

	control.progress = brought;
	control.user = &watch;
	code = fetch_blob(&control, s->m->blobs, &s->registry, &blob->digest, blob->size_bytes, e);
	fetch_note(s->m, blob->digest.text, begun_ns, blob->size_bytes, code);
	return code;
}

int content_source_bring(struct content_source *s, const struct image_descriptor *blob,
			 struct error *e)
{
	int code;

	if (content_blobs_is_here(s->m, &blob->digest))
		return 0;
	code = s->layout_fd >= 0 ? bring_from_layout(s, blob, e) : bring_from_registry(s, blob, e);
	if (code < 0)
		return code;
	content_blobs_arrived(s->m, &blob->digest, blob->size_bytes);
	s->brought_bytes += blob->size_bytes;
	return 0;
}

/* ---- manifests ---- */

/* A manifest or an index. */
struct document {
	void *bytes;
	size_t length;
	char *media_type;
	struct digest digest; /* "" of a layout's index.json */
};

static void document_free(struct document *d)
{
	free(d->bytes);
	free(d->media_type);
}
DEFINE_CLEANUP_VALUE(struct document, document_free)

static int read_document(struct content_source *s, const struct image_descriptor *d,
			 void **ret_bytes, size_t *ret_length, struct error *e)
{
	struct fetch_control control =
		content_source_control(s->m, content_progress_stop(s->progress));
	cleanup(content_blobs_unpin) struct blob_pin pin = { 0 };
	cleanup(free_ptr) char *media_type = NULL;
	struct digest digest;
	int code;

	if (s->layout_fd < 0)
		return fetch_manifest(&control, &s->registry, d->digest.text, ret_bytes, ret_length,
				      &media_type, &digest, e);
	if (d->size_bytes > IMAGE_JSON_MAX)
		return error_set(e, -EFBIG,
				 "the manifest %s has %lld bytes, more than the limit of %d",
				 d->digest.text, (long long)d->size_bytes, IMAGE_JSON_MAX);
	code = content_blobs_pin(s->m, &d->digest, &pin, e);
	if (code < 0)
		return code;
	code = content_source_bring(s, d, e);
	if (code < 0)
		return code;
	return content_source_read(s->m, &d->digest, ret_bytes, ret_length, e);
}

/* The document with this digest, whether the layout's index names it or an index below that. */
static int read_by_digest(struct content_source *s, const char *digest,
			  struct document *ret_document, struct error *e)
{
	struct image_descriptor d = { 0 };
	int code = digest_parse(digest, &d.digest, e);

	if (code < 0)
		return code;
	code = oci_layout_blob_size(s->layout_fd, &d.digest, &d.size_bytes, e);
	if (code < 0)
		return code;
	ret_document->digest = d.digest;
	return read_document(s, &d, &ret_document->bytes, &ret_document->length, e);
}

/* The document that the reference names. *tag becomes NULL, unless it is still to be looked up in
 * the document: the index of a layout. */
static int read_first(struct content_source *s, const char **tag, struct document *ret_document,
		      struct error *e)
{
	struct fetch_control control =
		content_source_control(s->m, content_progress_stop(s->progress));
	const char *name = *tag ? *tag : "latest";
	struct document *d = ret_document;

	if (s->layout_fd < 0) {
		*tag = NULL;
		return fetch_manifest(&control, &s->registry, name, &d->bytes, &d->length,
				      &d->media_type, &d->digest, e);
	}
	if (s->reference->by_digest) {
		const char *digest = *tag;

		*tag = NULL;
		return read_by_digest(s, digest, d, e);
	}
	d->media_type = strdup(IMAGE_MEDIA_TYPE_INDEX);
	if (!d->media_type)
		return error_set(e, -ENOMEM, "out of memory");
	return oci_layout_read_index(s->layout_fd, IMAGE_JSON_MAX, &d->bytes, &d->length, e);
}

/* Replaces an index with one of the documents that it names. */
static int follow(struct content_source *s, const struct image_descriptor *next,
		  struct document *document, struct error *e)
{
	cleanup(document_free) struct document d = { .media_type = strdup(next->media_type),
						     .digest = next->digest };
	int code;

	if (!d.media_type)
		return error_set(e, -ENOMEM, "out of memory");
	code = read_document(s, next, &d.bytes, &d.length, e);
	if (code < 0)
		return code;
	document_free(document);
	*document = d;
	d = (struct document){ 0 };
	return 0;
}

/* From the document down to a manifest, which it becomes. */
static int descend(struct content_source *s, const char *tag, struct document *document,
		   struct image_descriptors *ret_manifest, struct error *e)
{
	struct image_platform machine = image_platform_here();

	for (int depth = 0; depth < INDEX_DEPTH; depth++) {
		cleanup(image_descriptors_free) struct image_descriptors found = { 0 };
		const struct image_descriptor *next = NULL;
		enum image_document kind = IMAGE_DOCUMENT_MANIFEST;
		int code = image_manifest_parse(document->bytes, document->length,
						document->media_type, &kind, &found, e);

		if (code < 0)
			return code;
		if (kind == IMAGE_DOCUMENT_MANIFEST) {
			*ret_manifest = found;
			found = (struct image_descriptors){ 0 };
			return 0;
		}
		code = image_manifest_choose(&found, tag, &machine, &next, e);
		if (code < 0)
			return code;
		code = follow(s, next, document, e);
		if (code < 0)
			return code;
		tag = NULL;
	}
	return error_set(e, -EBADMSG, "indexes are nested more than %d deep", INDEX_DEPTH);
}

int content_source_manifest(struct content_source *s, struct image_descriptors *ret_manifest,
			    struct digest *ret_digest, struct error *e)
{
	cleanup(document_free) struct document document = { 0 };
	const char *tag = s->reference->tag;

	if (read_first(s, &tag, &document, e) < 0 ||
	    descend(s, tag, &document, ret_manifest, e) < 0)
		return error_context(e, "%s", s->reference->text);
	*ret_digest = document.digest;
	return 0;
}
