/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images/image_export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "content/blob_fetch.h"
#include "manager/content/fetch_note.h"
#include "content/blob_writer.h"
#include "graph/record_content.h"
#include "image/chain_id.h"
#include "image/image_config.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_progress.h"
#include "manager/content/content_source.h"
#include "manager/images/image_pack.h"
#include "manager/images/image_send.h"
#include "manager/records/record_finalize.h"
#include "manager/state/reservation.h"
#include "overlay/overlay_options.h"
#include "store/content_rows.h"
#include "store/record_rows.h"

/* The layers of a record that came from a blob are exported as that blob; others are packed, and
 * the record keeps the digests, so that it is found by them and can be the parent of imported
 * layers. The config continues that of the image that the chain began with. */

/* With the lock. */
static int copy_chain(struct exporting *x, const struct record *top)
{
	size_t n;

	manager_assert_locked(x->m);
	x->count = record_graph_depth(top);
	x->layers = calloc(x->count, sizeof(*x->layers));
	if (!x->layers)
		return -ENOMEM;
	n = x->count;
	for (const struct record *r = top; r; r = r->parent) {
		struct export_layer *l = &x->layers[--n];

		memcpy(l->id, r->id, sizeof(l->id));
		memcpy(l->layer, r->layer->name, sizeof(l->layer));
		l->lazy = r->layer->lazy;
		l->is_containerds = r->snapshot || strcmp(r->type, RECORD_TYPE_IMAGE_LAYER) == 0;
		l->created_ns = r->created_ns;
		l->description = strdup(r->description);
		l->content = r->content ? record_content_copy(r->content) : NULL;
		if (!l->description || (r->content && !l->content))
			return -ENOMEM;
	}
	return 0;
}

static int find_chain(struct exporting *x, struct error *e)
{
	int code = record_finalize(x->m, x->o->id, e); /* a mutable record is refused */
	struct record *r;

	if (code < 0)
		return code;
	cleanup(manager_unlock) struct manager *m = manager_lock(x->m);
	code = manager_find(m, x->o->id, &r, e);
	if (code < 0)
		return code;
	if (copy_chain(x, r) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	content_use_begin(m, r, &x->top);
	return 0;
}

/* ---- blobs of layers ---- */

struct fetch_watch {
	struct exporting *x;
	const char *digest;
};

static void fetched(int64_t done_bytes, int64_t total_bytes, void *user)
{
	const struct fetch_watch *w = user;

	/* A cancellation reaches the fetch by the flag that it looks at. */
	(void)content_progress_say(w->x->progress, "fetch", w->digest, done_bytes, total_bytes);
}

static int fetch_layer(struct exporting *x, const struct export_layer *l, struct error *e)
{
	struct fetch_watch watch = { x, l->content->blob.text };
	struct fetch_control control =
		content_source_control(x->m, content_progress_stop(x->progress));
	struct fetch_source source = { .registry = l->content->registry,
				       .repository = l->content->repository };
	int64_t begun_ns = clock_monotonic_ns();
	int code;

	control.progress = fetched;
	control.user = &watch;
	code = fetch_blob(&control, x->m->blobs, &source, &l->content->blob, l->content->size_bytes,
			  e);
	fetch_note(x->m, l->content->blob.text, begun_ns, l->content->size_bytes, code);
	if (code < 0)
		return code;
	content_blobs_arrived(x->m, &l->content->blob, l->content->size_bytes);
	return 0;
}

static enum image_compression compression_of(const char *media_type)
{
	if (strcmp(media_type, IMAGE_MEDIA_TYPE_LAYER_GZIP) == 0)
		return IMAGE_GZIP;
	return strcmp(media_type, IMAGE_MEDIA_TYPE_LAYER_ZSTD) == 0 ? IMAGE_ZSTD
								    : IMAGE_UNCOMPRESSED;
}

/* Packing the files of a layer again gives the same blob only if this agent packed it before. */
static int repack_layer(struct exporting *x, const struct export_layer *l, struct error *e)
{
	cleanup(content_blobs_unpin) struct blob_pin pin = { 0 };
	struct record_content again;
	int code;

	if (l->lazy)
		return error_set(e, -ENODATA, "blob %s is not in the store and has no source",
				 l->content->blob.text);
	code = image_pack_layer(x->m, l->layer, compression_of(l->content->media_type), x->progress,
				&again, &pin, e);
	if (code < 0)
		return code;
	if (!digest_equal(&again.blob, &l->content->blob))
		return error_set(e, -ENODATA,
				 "blob %s is no longer in the store, and packing its files again "
				 "gives a different blob, %s",
				 l->content->blob.text, again.blob.text);
	return 0;
}

static int bring_blob(struct exporting *x, struct export_layer *l, struct error *e)
{
	int code = content_blobs_pin(x->m, &l->content->blob, &l->pin, e);

	if (code < 0)
		return code;
	if (content_blobs_is_here(x->m, &l->content->blob))
		return 0;
	return record_content_has_source(l->content) ? fetch_layer(x, l, e) : repack_layer(x, l, e);
}

/* Keeps the digests with the record, unless another export was faster, with the same digests or
 * with a different compression. */
static int keep_content(struct exporting *x, const struct export_layer *l, struct error *e)
{
	struct record_label labels[] = {
		{ (char *)RECORD_LABEL_CHAIN_ID, l->content->chain_id.text },
		{ (char *)RECORD_LABEL_BLOB_CHAIN_ID, l->content->blob_chain_id.text },
	};
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(record_content_free) struct record_content *kept = record_content_copy(l->content);
	cleanup(reservation_end) struct reservation reserved = { 0 };
	struct record *r;
	size_t label_count;
	int code;

	if (!kept)
		return error_set(e, -ENOMEM, "out of memory");
	code = reservation_find(x->m, l->id, &reserved, e);
	if (code < 0)
		return code;
	r = reserved.record;
	if (r->content)
		return 0;
	label_count = r->snapshot ? 0 : ARRAY_SIZE(labels); /* containerd's labels are its own */
	content_rows_set(&c, r->id, kept);
	for (size_t i = 0; i < label_count; i++)
		record_rows_set_label(&c, r->id, labels[i].key, labels[i].value);
	code = change_set_write(&c, x->m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;
	cleanup(manager_unlock) struct manager *m = manager_lock(x->m);
	for (size_t i = 0; i < label_count; i++)
		if (record_set_label(r, labels[i].key, labels[i].value) < 0)
			code = error_set(e, -ENOMEM, "out of memory");
	record_graph_set_content(m->graph, r, take_ptr(kept));
	return code;
}

static int pack_layer(struct exporting *x, size_t n, struct error *e)
{
	struct export_layer *l = &x->layers[n];
	const struct record_content *below = n ? x->layers[n - 1].content : NULL;
	struct record_content packed = { 0 }, *before = take_ptr(l->content);
	int code = image_pack_layer(x->m, l->layer, x->o->compression, x->progress, &packed,
				    &l->pin, e);

	if (code < 0) {
		l->content = before;
		return code;
	}
	if (chain_id_append(below ? &below->chain_id : NULL, &packed.diff_id, &packed.chain_id) ==
		    0 &&
	    chain_id_append_blob(below ? &below->blob_chain_id : NULL, &packed.blob,
				 &packed.diff_id, &packed.blob_chain_id) == 0)
		l->content = record_content_copy(&packed);
	record_content_free(before);
	if (!l->content)
		return error_set(e, -ENOMEM, "out of memory");
	x->packed_bytes += packed.size_bytes;
	return keep_content(x, l, e);
}

/* A layer that containerd has had unpacked: its blob is in containerd's store, and the image may
 * have another one. */
static bool is_blob_elsewhere(struct exporting *x, const struct export_layer *l)
{
	return l->is_containerds && !l->lazy && !record_content_has_source(l->content) &&
	       !content_blobs_is_here(x->m, &l->content->blob);
}

static int gather_layer(struct exporting *x, size_t n, struct error *e)
{
	struct export_layer *l = &x->layers[n];
	bool packs = !l->content || is_blob_elsewhere(x, l);
	int code = packs ? pack_layer(x, n, e) : bring_blob(x, l, e);

	if (code < 0)
		return code;
	if (content_progress_check(x->progress) < 0)
		return error_set(e, -ECANCELED, "the export was cancelled");
	return 0;
}

static int gather_layers(struct exporting *x, struct error *e)
{
	if (x->count > IMAGE_LAYERS_MAX)
		return error_set(e, -EMFILE, "an image has at most %d layers", IMAGE_LAYERS_MAX);
	for (size_t n = 0; n < x->count; n++)
		if (gather_layer(x, n, e) < 0)
			return error_context(e, "record %s", x->layers[n].id);
	return 0;
}

/* ---- documents ---- */

static int write_document(struct exporting *x, const struct image_descriptor *d, const void *bytes,
			  struct error *e)
{
	cleanup(blob_writer_abandon) struct blob_writer *w = NULL;
	struct blob_expectation expected = { &d->digest, d->size_bytes, NULL };
	struct digest digest;
	int64_t size;
	int code = blob_writer_begin(x->m->blobs, &expected, &w, &size, e);

	if (code < 0)
		return code;
	code = blob_writer_reset(w, e);
	if (code < 0)
		return code;
	code = blob_writer_add(w, bytes, (size_t)d->size_bytes, e);
	if (code < 0)
		return code;
	return blob_writer_commit(take_ptr(w), &digest, &size, e);
}

static int keep_document(struct exporting *x, const void *bytes, size_t length,
			 const char *media_type, struct image_descriptor *ret_descriptor,
			 struct blob_pin *ret_pin, struct error *e)
{
	struct image_descriptor *d = ret_descriptor;
	int code;

	*d = (struct image_descriptor){ .media_type = (char *)media_type,
					.size_bytes = (int64_t)length };
	if (digest_of(bytes, length, &d->digest) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	code = content_blobs_pin(x->m, &d->digest, ret_pin, e);
	if (code < 0)
		return code;
	code = write_document(x, d, bytes, e);
	if (code < 0 && code != -EEXIST)
		return code;
	content_blobs_arrived(x->m, &d->digest, d->size_bytes);
	return 0;
}

/* The config of the highest record of the chain that an image ended with. */
static int read_base(struct exporting *x, void **ret_bytes, size_t *ret_length, struct error *e)
{
	for (size_t n = x->count; n-- > 0;) {
		const struct digest *config = &x->layers[n].content->config;
		int code;

		if (!*config->text)
			continue;
		code = content_source_read(x->m, config, ret_bytes, ret_length, e);
		return code == -ENOENT ? 0 : code; /* it is lost: a new one is made */
	}
	return 0;
}

static int make_config(struct exporting *x, struct error *e)
{
	cleanup(free_ptr) struct image_config_layer *layers = calloc(x->count, sizeof(*layers));
	cleanup(free_ptr) void *base = NULL;
	cleanup(free_ptr) char *text = NULL;
	size_t base_length = 0, length;
	int code = layers ? read_base(x, &base, &base_length, e)
			  : error_set(e, -ENOMEM, "out of memory");

	if (code < 0)
		return code;
	for (size_t n = 0; n < x->count; n++)
		layers[n] = (struct image_config_layer){ .diff_id = x->layers[n].content->diff_id,
							 .created_ns = x->layers[n].created_ns,
							 .created_by = x->layers[n].description };
	code = image_config_build(base, base_length, layers, x->count,
				  image_platform_here().architecture, &text, &length, e);
	if (code < 0)
		return code;
	return keep_document(x, text, length, IMAGE_MEDIA_TYPE_CONFIG, &x->config, &x->config_pin,
			     e);
}

/* The OCI name of a Docker media type for the same format. */
static const char *oci_layer_type(const char *media_type)
{
	const char *end = strrchr(media_type, '.');

	if (strncmp(media_type, "application/vnd.docker.", 23) != 0)
		return media_type;
	if (strcmp(end, ".gzip") == 0)
		return IMAGE_MEDIA_TYPE_LAYER_GZIP;
	return strcmp(end, ".zstd") == 0 ? IMAGE_MEDIA_TYPE_LAYER_ZSTD : IMAGE_MEDIA_TYPE_LAYER;
}

static int make_manifest(struct exporting *x, struct error *e)
{
	cleanup(free_ptr) struct image_descriptor *items = calloc(x->count + 1, sizeof(*items));
	struct image_descriptors all = { items, x->count + 1 };
	cleanup(free_ptr) char *text = NULL;
	size_t length;
	int code;

	if (!items)
		return error_set(e, -ENOMEM, "out of memory");
	items[0] = x->config;
	for (size_t n = 0; n < x->count; n++) {
		const struct record_content *c = x->layers[n].content;

		items[n + 1] = (struct image_descriptor){
			.media_type = (char *)oci_layer_type(
				*c->media_type ? c->media_type : IMAGE_MEDIA_TYPE_LAYER_GZIP),
			.digest = c->blob,
			.size_bytes = c->size_bytes,
		};
	}
	code = image_manifest_build(&all, &text, &length, e);
	if (code < 0)
		return code;
	return keep_document(x, text, length, IMAGE_MEDIA_TYPE_MANIFEST, &x->manifest,
			     &x->manifest_pin, e);
}

/* The record is this image from now on, and is found again when the image is imported. */
static int keep_config(struct exporting *x, struct error *e)
{
	const struct export_layer *top = &x->layers[x->count - 1];
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(record_content_free) struct record_content *kept = NULL;
	cleanup(reservation_end) struct reservation reserved = { 0 };
	struct record_content content;
	struct record *r;
	int code;

	if (*top->content->config.text)
		return 0;
	code = reservation_find(x->m, top->id, &reserved, e);
	if (code < 0)
		return code;
	r = reserved.record;
	if (!r->content || *r->content->config.text)
		return 0;
	content = *r->content;
	content.config = x->config.digest;
	kept = record_content_copy(&content);
	if (!kept)
		return error_set(e, -ENOMEM, "out of memory");
	content_rows_set(&c, r->id, kept);
	code = change_set_write(&c, x->m->database, DATABASE_DURABLE, e);
	if (code < 0)
		return code;
	cleanup(manager_unlock) struct manager *m = manager_lock(x->m);
	record_graph_set_content(m->graph, r, take_ptr(kept));
	return 0;
}

/* ---- the whole ---- */

static void exporting_end(struct exporting *x)
{
	content_use_end(&x->top);
	for (size_t n = 0; x->layers && n < x->count; n++) {
		content_blobs_unpin(&x->layers[n].pin);
		record_content_free(x->layers[n].content);
		free(x->layers[n].description);
	}
	content_blobs_unpin(&x->config_pin);
	content_blobs_unpin(&x->manifest_pin);
	free(x->layers);
	content_progress_free(x->progress);
}
DEFINE_CLEANUP_VALUE(struct exporting, exporting_end)

/* The image's blobs, all of them in the store. */
static int make_image(struct exporting *x, struct error *e)
{
	int code = gather_layers(x, e);

	if (code < 0)
		return code;
	code = make_config(x, e);
	if (code < 0)
		return code;
	code = keep_config(x, e);
	return code < 0 ? code : make_manifest(x, e);
}

static int export_image(struct exporting *x, struct image_summary *s, struct error *e)
{
	int code = find_chain(x, e);

	if (code < 0)
		return code;
	code = x->to->transport == IMAGE_TAR ? 0 : make_image(x, e);
	if (code < 0)
		return code;
	code = image_send(x, e);
	if (code < 0)
		return code;
	memcpy(s->id, x->layers[x->count - 1].id, sizeof(s->id));
	(void)snprintf(s->manifest, sizeof(s->manifest), "%s", x->manifest.digest.text);
	s->layers = x->to->transport == IMAGE_TAR ? 1 : x->count;
	s->bytes = x->packed_bytes;
	return 0;
}

static int export_to(struct manager *m, const struct image_export_options *options,
		     struct image_summary *ret_summary, struct error *e)
{
	cleanup(image_reference_free) struct image_reference to = { 0 };
	cleanup(exporting_end) struct exporting x = { .m = m, .o = options, .to = &to };
	int code = content_source_parse(options->destination, &to, e);

	if (code < 0)
		return code;
	if (to.by_digest)
		return error_set(e, -EINVAL,
				 "'%s': an image is exported under a tag, not under a "
				 "digest",
				 to.text);
	x.progress = content_progress_new(&options->watch);
	if (!x.progress)
		return error_set(e, -ENOMEM, "out of memory");
	return export_image(&x, ret_summary, e);
}

int image_export(struct manager *m, const struct image_export_options *options,
		 struct image_summary *ret_summary, struct error *e)
{
	struct image_summary summary = { 0 };

	if (export_to(m, options, &summary, e) < 0)
		return error_context(e, "export");
	*ret_summary = summary;
	return 0;
}
