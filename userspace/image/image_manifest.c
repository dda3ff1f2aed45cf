/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_manifest.h"

#include <errno.h>
#include <string.h>

#include "base/strbuf.h"
#include "image/image_json.h"

#define TAG_ANNOTATION "org.opencontainers.image.ref.name"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

int image_manifest_check_layer_type(const char *media_type, struct error *e)
{
	static const char *const types[] = {
		IMAGE_MEDIA_TYPE_LAYER,
		IMAGE_MEDIA_TYPE_LAYER_GZIP,
		IMAGE_MEDIA_TYPE_LAYER_ZSTD,
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		NULL,
	};

	if (is_one_of(media_type, types))
		return 0;
	return error_set(
		e, -EOPNOTSUPP,
		"unsupported layer type '%.200s' (supported: tar, plain or compressed with "
		"gzip or zstd)",
		media_type);
}

static int check_config_type(const char *media_type, struct error *e)
{
	static const char *const types[] = { IMAGE_MEDIA_TYPE_CONFIG, DOCKER_CONFIG, NULL };

	if (is_one_of(media_type, types))
		return 0;
	return error_set(e, -EOPNOTSUPP, "'%.200s' is not the config of a container image",
			 media_type);
}

void image_descriptors_free(struct image_descriptors *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->items[i].media_type);
		free(d->items[i].tag);
		free(d->items[i].os);
		free(d->items[i].architecture);
		free(d->items[i].variant);
		free(d->items[i].problem);
	}
	free(d->items);
	*d = (struct image_descriptors){ 0 };
}

static int read_descriptor(const json_t *json, struct image_descriptor *d, struct error *e)
{
	const char *media_type;
	int code;

	if (!json_is_object(json))
		return error_set(e, -EBADMSG, "a descriptor is missing, or not an object");
	code = image_json_text(json, "mediaType", &media_type, e);
	if (code < 0)
		return code;
	code = image_json_digest(json, "digest", &d->digest, e);
	if (code < 0)
		return code;
	code = image_json_size(json, "size", &d->size_bytes, e);
	if (code < 0)
		return code;
	d->media_type = strdup(media_type);
	return d->media_type ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static char *copy_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return strdup(text ? text : "");
}

/* Other software attaches to an index what is not an image, and looks like one to old readers. */
static bool is_image(const json_t *json)
{
	static const char *const types[] = { IMAGE_MEDIA_TYPE_MANIFEST,
					     DOCKER_MANIFEST,
					     IMAGE_MEDIA_TYPE_INDEX,
					     DOCKER_INDEX,
					     IMAGE_MEDIA_TYPE_CONFIG,
					     DOCKER_CONFIG,
					     "",
					     NULL };
	const json_t *annotations = json_object_get(json, "annotations");
	const char *media_type = json_string_value(json_object_get(json, "mediaType"));
	const char *artifact_type = json_string_value(json_object_get(json, "artifactType"));
	const char *os =
		json_string_value(json_object_get(json_object_get(json, "platform"), "os"));

	return !(os && strcmp(os, "unknown") == 0) &&
	       !json_object_get(annotations, "vnd.docker.reference.type") &&
	       is_one_of(media_type ? media_type : "", types) &&
	       is_one_of(artifact_type ? artifact_type : "", types);
}

/* What the index says of one image. A fault in it counts when the image is chosen. */
static int read_image(const json_t *json, struct image_descriptor *d, size_t number,
		      struct error *e)
{
	const json_t *platform = json_object_get(json, "platform");
	struct error problem = { 0 };
	int code = read_descriptor(json, d, &problem);

	if (code == -ENOMEM)
		return error_set(e, code, "%s", problem.text);
	if (code < 0) {
		error_context(&problem, "image %zu", number);
		d->problem = strdup(problem.text);
	}
	d->is_image = is_image(json);
	d->tag = copy_text(json_object_get(json, "annotations"), TAG_ANNOTATION);
	d->os = copy_text(platform, "os");
	d->architecture = copy_text(platform, "architecture");
	d->variant = copy_text(platform, "variant");
	if (!d->tag || !d->os || !d->architecture || !d->variant || (code < 0 && !d->problem))
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int read_layer(const json_t *json, struct image_descriptor *d, size_t number,
		      struct error *e)
{
	int code = read_descriptor(json, d, e);

	if (code == 0)
		code = image_manifest_check_layer_type(d->media_type, e);
	return code < 0 ? error_context(e, "layer %zu", number) : 0;
}

static int read_manifest(const json_t *json, struct image_descriptors *all, struct error *e)
{
	json_t *layers;
	int code = image_json_array(json, "layers", IMAGE_LAYERS_MAX, &layers, e);

	if (code < 0)
		return code;
	all->items = calloc(json_array_size(layers) + 1, sizeof(*all->items));
	if (!all->items)
		return error_set(e, -ENOMEM, "out of memory");
	code = read_descriptor(json_object_get(json, "config"), &all->items[all->count++], e);
	if (code < 0)
		return error_context(e, "config");
	code = check_config_type(all->items[0].media_type, e);
	for (size_t i = 0; i < json_array_size(layers) && code == 0; i++)
		code = read_layer(json_array_get(layers, i), &all->items[all->count++], i + 1, e);
	return code;
}

static int read_index(const json_t *json, struct image_descriptors *all, struct error *e)
{
	json_t *images;
	int code = image_json_array(json, "manifests", IMAGE_INDEX_MAX, &images, e);

	if (code < 0)
		return code;
	all->items = calloc(json_array_size(images) + 1, sizeof(*all->items));
	if (!all->items)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < json_array_size(images) && code == 0; i++)
		code = read_image(json_array_get(images, i), &all->items[all->count++], i + 1, e);
	return code;
}

/* What the document says that it is goes before what others say; an OCI one may say nothing. */
static int find_kind(const json_t *json, const char *said, enum image_document *ret_kind,
		     struct error *e)
{
	static const char *const manifests[] = { IMAGE_MEDIA_TYPE_MANIFEST, DOCKER_MANIFEST, NULL };
	static const char *const indexes[] = { IMAGE_MEDIA_TYPE_INDEX, DOCKER_INDEX, NULL };
	const char *media_type;
	json_int_t version;
	int code = image_json_text(json, "mediaType", &media_type, e);

	if (code < 0)
		return code;
	version = json_integer_value(json_object_get(json, "schemaVersion"));
	if (version != 2)
		return error_set(e, -EOPNOTSUPP,
				 "unsupported manifest schema version %lld (supported: 2)",
				 (long long)version);
	if (!*media_type)
		media_type = said ? said : "";
	if (!*media_type)
		media_type = json_object_get(json, "manifests") ? IMAGE_MEDIA_TYPE_INDEX
								: IMAGE_MEDIA_TYPE_MANIFEST;
	if (is_one_of(media_type, manifests))
		*ret_kind = IMAGE_DOCUMENT_MANIFEST;
	else if (is_one_of(media_type, indexes))
		*ret_kind = IMAGE_DOCUMENT_INDEX;
	else
		return error_set(e, -EOPNOTSUPP, "'%.200s' is neither a manifest nor an index",
				 media_type);
	return 0;
}

int image_manifest_parse(const void *bytes, size_t length, const char *media_type,
			 enum image_document *ret_kind, struct image_descriptors *ret_descriptors,
			 struct error *e)
{
	cleanup(json_unref) json_t *json = NULL;
	cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
	enum image_document kind = IMAGE_DOCUMENT_MANIFEST;
	int code = image_json_parse(bytes, length, "manifest", &json, e);

	if (code < 0)
		return code;
	code = find_kind(json, media_type, &kind, e);
	if (code < 0)
		return code;
	code = kind == IMAGE_DOCUMENT_INDEX ? read_index(json, &all, e)
					    : read_manifest(json, &all, e);
	if (code < 0)
		return code;
	*ret_kind = kind;
	*ret_descriptors = all;
	all = (struct image_descriptors){ 0 };
	return 0;
}

static void list_tags(const struct image_descriptors *index, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < index->count && used + 2 < size; i++)
		if (*index->items[i].tag) {
			(void)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
				       index->items[i].tag); /* cut is good enough */
			used = strlen(text);
		}
}

static bool has_image(const struct image_descriptors *index)
{
	for (size_t i = 0; i < index->count; i++)
		if (index->items[i].is_image)
			return true;
	return false;
}

/* `others`: so many images of that tag are for other platforms. */
static int refuse_choice(const struct image_descriptors *index, const char *tag,
			 const struct image_platform *machine, size_t others, struct error *e)
{
	char tags[300];

	list_tags(index, tags, sizeof(tags));
	if (others > 0)
		return error_set(e, -ENOENT, "no image for linux/%s among %zu",
				 machine->architecture, others);
	if (!tag && index->count > 0 && !has_image(index))
		return error_set(e, -ENOENT, "none of the %zu entries of the index is an image",
				 index->count);
	if (!tag)
		return error_set(e, -EINVAL, "there are %zu images: name one of the tags %s",
				 index->count, tags);
	return error_set(e, -ENOENT, "no image '%s': the tags are %s", tag,
			 *tags ? tags : "none at all");
}

static bool is_wanted(const struct image_descriptor *d, const char *tag)
{
	return d->is_image && (!tag || strcmp(tag, d->tag) == 0);
}

static const struct image_descriptor *find_digest(const struct image_descriptors *index,
						  const char *digest)
{
	for (size_t i = 0; digest && i < index->count; i++)
		if (strcmp(digest, index->items[i].digest.text) == 0)
			return &index->items[i];
	return NULL;
}

static bool has_platform(const struct image_descriptor *d)
{
	return *d->os || *d->architecture;
}

/* Images without a platform count where no image has one. */
static int rank(const struct image_descriptor *d, const struct image_platform *machine,
		bool by_platform)
{
	const char *architecture = *d->architecture ? d->architecture : machine->architecture;

	if (by_platform != has_platform(d))
		return 0;
	return by_platform ? image_platform_rank(machine, d->os, architecture, d->variant) : 1;
}

/* Whether nothing says which of two equally good images is meant. */
static bool is_ambiguous(const struct image_descriptor *a, const struct image_descriptor *b)
{
	return !digest_equal(&a->digest, &b->digest) &&
	       (!has_platform(a) || strcmp(a->tag, b->tag) != 0);
}

/* NULL: none that runs there; *ret_ambiguous: nor is it clear which one is meant. */
static const struct image_descriptor *find_best(const struct image_descriptors *index,
						const char *tag,
						const struct image_platform *machine,
						bool *ret_ambiguous)
{
	const struct image_descriptor *best = NULL;
	bool by_platform = false;
	int best_rank = 0;

	for (size_t i = 0; i < index->count; i++)
		by_platform |= is_wanted(&index->items[i], tag) && has_platform(&index->items[i]);
	for (size_t i = 0; i < index->count; i++) {
		const struct image_descriptor *d = &index->items[i];
		int its = is_wanted(d, tag) ? rank(d, machine, by_platform) : 0;

		if (its > 0 && its == best_rank)
			*ret_ambiguous |= !tag && is_ambiguous(best, d);
		if (its <= best_rank)
			continue;
		best = d;
		best_rank = its;
		*ret_ambiguous = false;
	}
	return best;
}

int image_manifest_choose(const struct image_descriptors *index, const char *tag,
			  const struct image_platform *machine,
			  const struct image_descriptor **ret_chosen, struct error *e)
{
	const struct image_descriptor *best = find_digest(index, tag);
	bool ambiguous = false;
	size_t wanted = 0;

	if (!best)
		best = find_best(index, tag, machine, &ambiguous);
	for (size_t i = 0; !best && i < index->count; i++)
		wanted += is_wanted(&index->items[i], tag);
	if (!best || ambiguous)
		return refuse_choice(index, tag, machine, wanted, e);
	if (best->problem)
		return error_set(e, -EBADMSG, "%s", best->problem);
	*ret_chosen = best;
	return 0;
}

static json_t *describe(const struct image_descriptor *d)
{
	return json_pack("{s:s, s:s, s:I}", "mediaType", d->media_type, "digest", d->digest.text,
			 "size", (json_int_t)d->size_bytes);
}

int image_manifest_build(const struct image_descriptors *d, char **ret_text, size_t *ret_length,
			 struct error *e)
{
	cleanup(json_unref) json_t *layers = json_array();
	cleanup(json_unref) json_t *json = NULL;

	for (size_t i = 1; i < d->count; i++)
		if (json_array_append_new(layers, describe(&d->items[i])) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	json = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType",
			 IMAGE_MEDIA_TYPE_MANIFEST, "config", describe(&d->items[0]), "layers",
			 layers);
	if (!json)
		return error_set(e, -ENOMEM, "out of memory");
	return image_json_write(json, ret_text, ret_length, e);
}

/* Those with the tag, or without one the same image without a tag. */
static void remove_from_index(json_t *images, const struct image_descriptor *image, const char *tag)
{
	for (size_t i = json_array_size(images); i-- > 0;) {
		const json_t *entry = json_array_get(images, i);
		const char *has = json_string_value(
			json_object_get(json_object_get(entry, "annotations"), TAG_ANNOTATION));
		const char *digest = json_string_value(json_object_get(entry, "digest"));

		if (tag ? has && strcmp(has, tag) == 0
			: !has && digest && strcmp(digest, image->digest.text) == 0)
			(void)json_array_remove(images, i); /* it is there */
	}
}

int image_manifest_add_to_index(const void *index, size_t length,
				const struct image_descriptor *image, const char *tag,
				char **ret_text, size_t *ret_length, struct error *e)
{
	cleanup(json_unref) json_t *json = NULL;
	json_t *images, *entry = describe(image);
	int code = 0;

	if (index)
		code = image_json_parse(index, length, "index", &json, e);
	else
		json = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
				 IMAGE_MEDIA_TYPE_INDEX, "manifests");
	if (code == 0)
		code = json ? image_json_array(json, "manifests", IMAGE_INDEX_MAX, &images, e)
			    : error_set(e, -ENOMEM, "out of memory");
	if (code < 0) {
		json_decref(entry);
		return code;
	}
	remove_from_index(images, image, tag);
	if (tag && entry &&
	    json_object_set_new(entry, "annotations", json_pack("{s:s}", TAG_ANNOTATION, tag)) < 0)
		code = -ENOMEM;
	if (json_array_append_new(images, entry) < 0 || code < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return image_json_write(json, ret_text, ret_length, e);
}
