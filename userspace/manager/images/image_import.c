/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images into records. First the blobs that are not here, then the records, lazy ones, each held by
 * the work until the next one lies on it, then their files. A lease of the work's own holds what
 * has been made so far; when it fails, that goes again, but for what others have taken meanwhile.
 */
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
#include "manager/images/image_import_tar.h"
#include "manager/content/content_progress.h"
#include "manager/images/image_by_blob.h"
#include "manager/content/content_source.h"
#include "manager/images/image_work.h"
#include "manager/records/leases.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_limits.h"
#include "manager/state/manager_state.h"
#include "manager/records/record_hold.h"

struct importing {
	struct manager *m;
	const struct image_import_options *o;
	struct content_source source;
	struct content_progress *progress;
	struct lease_holder work; /* holds while it is under way */
	struct image_descriptors manifest;
	struct image_diff_ids diff_ids;
	struct digest *blob_chains; /* of each layer */
	size_t pinned; /* descriptors of the manifest whose blobs are pinned */
	char (*made)[RECORD_ID_LENGTH + 1]; /* records that were not there before */
	size_t made_count;
	char id[RECORD_ID_LENGTH + 1]; /* the newest one */
};

static size_t layer_count(const struct importing *i)
{
	return i->manifest.count - 1;
}

static int pin_blobs(struct importing *i, struct error *e)
{
	for (; i->pinned < i->manifest.count; i->pinned++)
		if (content_blobs_pin(i->m, &i->manifest.items[i->pinned].digest) < 0)
			return error_set(e, -ENOMEM, "out of memory");
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
				 "the config %s has %" PRId64 " bytes; %d are the most "
				 "that is read",
				 config->digest.text, config->size_bytes, IMAGE_JSON_MAX);
	code = content_source_bring(&i->source, config, e);
	if (code == 0)
		code = content_source_read(i->m, &config->digest, &bytes, &length, e);
	if (code == 0)
		code = image_config_parse(bytes, length, &i->diff_ids, e);
	if (code == 0 && i->diff_ids.count != layer_count(i))
		code = error_set(e, -EBADMSG, "the manifest has %zu layers, its config %s has %zu",
				 layer_count(i), config->digest.text, i->diff_ids.count);
	if (code == 0 && layer_count(i) == 0)
		code = error_set(e, -EINVAL, "the image has no layers");
	return code;
}

static int name_chains(struct importing *i, struct error *e)
{
	i->blob_chains = calloc(layer_count(i), sizeof(*i->blob_chains));
	i->made = calloc(layer_count(i), sizeof(*i->made));
	if (!i->blob_chains || !i->made)
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
	const struct record *r;
	bool known = false;
	size_t at = 0;

	manager_lock(i->m);
	while (!known && (r = record_graph_next(i->m->graph, &at)))
		known = r->content && r->state == RECORD_LIVE &&
			digest_equal(&r->content->blob_chain_id, blob_chain);
	manager_unlock(i->m);
	return known;
}

/* A registry's come when they are needed: with the extraction, while it unpacks others. */
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
	code = image_by_blob(i->m, &blob, &i->work, id, &is_new, e);
	if (code < 0)
		return code;
	memcpy(i->id, id, sizeof(id));
	if (is_new)
		memcpy(i->made[i->made_count++], id, sizeof(id));
	return 0;
}

static int make_records(struct importing *i, struct error *e)
{
	int code = 0;

	for (size_t n = 0; n < layer_count(i) && code == 0; n++) {
		code = bring_layer(i, n, e);
		if (code == 0)
			code = make_record(i, n, e);
		if (code < 0)
			error_context(e, "layer %zu", n + 1);
	}
	return code;
}

static int import_image(struct importing *i, const struct lease_holder *holder,
			struct image_summary *s, struct error *e)
{
	struct record_get_options get = { 0 };
	struct digest manifest = { "" };
	int code = content_source_manifest(&i->source, &i->manifest, &manifest, e);

	if (code == 0)
		code = pin_blobs(i, e);
	if (code == 0)
		code = read_config(i, e);
	if (code == 0)
		code = name_chains(i, e);
	if (code == 0)
		code = make_records(i, e);
	if (code == 0 && !i->o->lazy)
		code = content_extract(i->m, i->id, &i->o->watch, e);
	if (code == 0)
		code = record_hold_get(i->m, i->id, &get, holder, s->id, e);
	if (code < 0)
		return code;
	(void)snprintf(s->manifest, sizeof(s->manifest), "%s", manifest.text); /* a digest */
	s->layers = layer_count(i);
	s->new_layers = i->made_count;
	s->bytes = i->source.brought_bytes;
	return 0;
}

static void free_importing(struct importing *i)
{
	for (size_t n = 0; n < i->pinned; n++)
		content_blobs_unpin(i->m, &i->manifest.items[n].digest);
	image_descriptors_free(&i->manifest);
	free(i->diff_ids.items);
	free(i->blob_chains);
	free(i->made);
	content_source_close(&i->source);
	content_progress_free(i->progress);
}

static int import_from(struct manager *m, const struct image_reference *reference,
		       const struct image_import_options *o, const struct lease_holder *holder,
		       struct image_summary *s, struct error *e)
{
	struct importing i = { .m = m,
			       .o = o,
			       .source = { .layout_fd = -EBADF },
			       .progress = content_progress_new(&o->watch),
			       .work = image_work_holder(m) };
	int code = i.progress ? content_source_open(m, reference, i.progress, &i.source, e)
			      : error_set(e, -ENOMEM, "out of memory");

	if (code == 0)
		code = import_image(&i, holder, s, e);
	leases_connection_closed(m, i.work.connection);
	if (code < 0)
		image_work_undo(m, i.made, i.made_count);
	free_importing(&i);
	return code;
}

/* Before the work, not after it. */
static int check_holder(struct manager *m, const struct lease_holder *holder, struct error *e)
{
	struct lease *l;
	int code;

	manager_lock(m);
	code = lease_table_find(m, holder, &l, e);
	if (code == 0)
		lease_table_put(m, l);
	manager_unlock(m);
	return code;
}

int image_import(struct manager *m, const struct image_import_options *options,
		 const struct lease_holder *holder, struct image_summary *ret_summary,
		 struct error *e)
{
	cleanup(image_reference_free) struct image_reference reference = { 0 };
	struct image_summary summary = { 0 };
	int code = content_source_parse(options->source, &reference, e);

	if (code == 0)
		code = check_holder(m, holder, e);
	if (code < 0)
		return code;
	if (reference.transport == IMAGE_TAR)
		code = image_import_tar(m, &reference, options, holder, &summary, e);
	else
		code = import_from(m, &reference, options, holder, &summary, e);
	if (code < 0)
		return error_context(e, "import");
	*ret_summary = summary;
	return 0;
}
