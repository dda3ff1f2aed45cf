/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/images/image_import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image/chain_id.h"
#include "image/image_config.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_extract.h"
#include "manager/content/content_progress.h"
#include "manager/content/content_source.h"
#include "manager/images/image_by_blob.h"
#include "manager/images/image_import_tar.h"
#include "manager/images/image_work.h"
#include "manager/records/record_hold.h"
#include "manager/state/lease_use.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"

/* The order: blobs that are not in the store, lazy records, their files. */
struct importing {
	struct manager *m;
	const struct image_import_options *o;
	struct content_source source;
	struct content_progress *progress;
	struct image_work work;
	struct image_descriptors manifest;
	struct image_diff_ids diff_ids;
	struct digest *blob_chains; /* of each layer */
	struct blob_pin *pins; /* of each descriptor of the manifest */
	char id[RECORD_ID_LENGTH + 1]; /* the newest one */
};

static size_t layer_count(const struct importing *i)
{
	return i->manifest.count - 1;
}

static int pin_blobs(struct importing *i, struct error *e)
{
	i->pins = calloc(i->manifest.count, sizeof(*i->pins));
	if (!i->pins)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t n = 0; n < i->manifest.count; n++) {
		int code = content_blobs_pin(i->m, &i->manifest.items[n].digest, &i->pins[n], e);

		if (code < 0)
			return code;
	}
	return 0;
}

static int read_config(struct importing *i, struct error *e)
{
	const struct image_descriptor *config = &i->manifest.items[0];
	cleanup(free_ptr) void *bytes = NULL;
	size_t length;
	int code;

	if (config->size_bytes > IMAGE_JSON_MAX)
		return error_set(e, -EFBIG,
				 "the config %s has %" PRId64 " bytes, more than the limit of %d",
				 config->digest.text, config->size_bytes, IMAGE_JSON_MAX);
	code = content_source_bring(&i->source, config, e);
	if (code < 0)
		return code;
	code = content_source_read(i->m, &config->digest, &bytes, &length, e);
	if (code < 0)
		return code;
	code = image_config_parse(bytes, length, &i->diff_ids, e);
	if (code < 0)
		return code;
	if (i->diff_ids.count != layer_count(i))
		return error_set(e, -EBADMSG, "the manifest has %zu layers, its config %s has %zu",
				 layer_count(i), config->digest.text, i->diff_ids.count);
	if (layer_count(i) == 0)
		return error_set(e, -EINVAL, "the image has no layers");
	return 0;
}

static int name_chains(struct importing *i, struct error *e)
{
	i->blob_chains = calloc(layer_count(i), sizeof(*i->blob_chains));
	if (!i->blob_chains)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t n = 0; n < layer_count(i); n++)
		if (chain_id_append_blob(n ? &i->blob_chains[n - 1] : NULL,
					 &i->manifest.items[n + 1].digest, &i->diff_ids.items[n],
					 &i->blob_chains[n]) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static bool is_known(struct importing *i, const struct digest *blob_chain)
{
	cleanup(manager_unlock) struct manager *m = manager_lock(i->m);
	const struct record *r;
	size_t at = 0;

	while ((r = record_graph_next(m->graph, &at)))
		if (r->content && r->state == RECORD_LIVE &&
		    digest_equal(&r->content->blob_chain_id, blob_chain))
			return true;
	return false;
}

/* Blobs of a registry are fetched by the extraction, while it unpacks others. */
static int bring_layer(struct importing *i, size_t n, struct error *e)
{
	if (i->source.layout_fd < 0 || is_known(i, &i->blob_chains[n]))
		return 0;
	return content_source_bring(&i->source, &i->manifest.items[n + 1], e);
}

static int make_record(struct importing *i, size_t n, struct error *e)
{
	const struct image_descriptor *d = &i->manifest.items[n + 1];
	bool top = n + 1 == layer_count(i), is_new = false;
	char description[MANAGER_DESCRIPTION_MAX + 1], id[RECORD_ID_LENGTH + 1];
	struct image_blob blob = {
		.digest = d->digest.text,
		.media_type = d->media_type,
		.size_bytes = d->size_bytes,
		.diff_id = i->diff_ids.items[n].text,
		.registry = i->source.registry.registry,
		.repository = i->source.registry.repository,
		.parent = n ? i->id : NULL,
		.description = description,
		.image_ref = i->o->source,
		.config = top ? i->manifest.items[0].digest.text : NULL,
		.no_use = true,
	};
	int code;

	(void)snprintf(description, sizeof(description), "layer %zu of %s", n + 1, i->o->source);
	code = image_by_blob(i->m, &blob, &i->work.holder, id, &is_new, e);
	if (code < 0)
		return code;
	memcpy(i->id, id, sizeof(id));
	if (is_new)
		memcpy(i->work.made[i->work.made_count++], id, sizeof(id));
	return 0;
}

static int make_records(struct importing *i, struct error *e)
{
	for (size_t n = 0; n < layer_count(i); n++)
		if (bring_layer(i, n, e) < 0 || make_record(i, n, e) < 0)
			return error_context(e, "layer %zu", n + 1);
	return 0;
}

static int read_image(struct importing *i, struct digest *ret_manifest, struct error *e)
{
	int code = content_source_manifest(&i->source, &i->manifest, ret_manifest, e);

	if (code < 0)
		return code;
	code = pin_blobs(i, e);
	if (code < 0)
		return code;
	code = read_config(i, e);
	return code < 0 ? code : name_chains(i, e);
}

static int import_image(struct importing *i, const struct lease_holder *holder,
			struct image_summary *s, struct error *e)
{
	struct record_get_options get = { 0 };
	struct digest manifest;
	int code = read_image(i, &manifest, e);

	if (code < 0)
		return code;
	code = image_work_begin(i->m, layer_count(i), &i->work, e);
	if (code < 0)
		return code;
	code = make_records(i, e);
	if (code < 0)
		return code;
	code = i->o->lazy ? 0 : content_extract(i->m, i->id, &i->o->watch, e);
	if (code < 0)
		return code;
	code = record_hold_get(i->m, i->id, &get, holder, s->id, e);
	if (code < 0)
		return code;
	i->work.succeeded = true;
	(void)snprintf(s->manifest, sizeof(s->manifest), "%s", manifest.text); /* a digest */
	s->layers = layer_count(i);
	s->new_layers = i->work.made_count;
	s->bytes = i->source.brought_bytes;
	return 0;
}

static void importing_end(struct importing *i)
{
	image_work_end(&i->work);
	for (size_t n = 0; i->pins && n < i->manifest.count; n++)
		content_blobs_unpin(&i->pins[n]);
	free(i->pins);
	image_descriptors_free(&i->manifest);
	free(i->diff_ids.items);
	free(i->blob_chains);
	content_source_close(&i->source);
	content_progress_free(i->progress);
}
DEFINE_CLEANUP_VALUE(struct importing, importing_end)

static int import_from(struct manager *m, const struct image_reference *reference,
		       const struct image_import_options *o, const struct lease_holder *holder,
		       struct image_summary *s, struct error *e)
{
	cleanup(importing_end) struct importing i = { .m = m,
						      .o = o,
						      .progress = content_progress_new(&o->watch) };
	int code;

	if (!i.progress)
		return error_set(e, -ENOMEM, "out of memory");
	code = content_source_open(m, reference, i.progress, &i.source, e);
	return code < 0 ? code : import_image(&i, holder, s, e);
}

/* So that a wrong lease is refused before the work, not after it. */
static int check_holder(struct manager *m, const struct lease_holder *holder, struct error *e)
{
	cleanup(lease_use_end) struct lease_use use = { 0 };
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	return lease_use_begin(locked, holder, &use, e);
}

static int import(struct manager *m, const struct image_import_options *options,
		  const struct lease_holder *holder, struct image_summary *s, struct error *e)
{
	cleanup(image_reference_free) struct image_reference reference = { 0 };
	int code = content_source_parse(options->source, &reference, e);

	if (code < 0)
		return code;
	code = check_holder(m, holder, e);
	if (code < 0)
		return code;
	return reference.transport == IMAGE_TAR
		       ? image_import_tar(m, &reference, options, holder, s, e)
		       : import_from(m, &reference, options, holder, s, e);
}

int image_import(struct manager *m, const struct image_import_options *options,
		 const struct lease_holder *holder, struct image_summary *ret_summary,
		 struct error *e)
{
	struct image_summary summary = { 0 };

	manager_assert_unlocked(m);
	if (import(m, options, holder, &summary, e) < 0)
		return error_context(e, "import");
	*ret_summary = summary;
	return 0;
}
