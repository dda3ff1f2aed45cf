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
	return error_set(e, -EOPNOTSUPP,
			 "'%.200s' is no layer that can be unpacked: tar, plain or with gzip or "
			 "zstd, is",
			 media_type);
}

static int check_config_type(const char *media_type, struct error *e)
{
	static const char *const types[] = { IMAGE_MEDIA_TYPE_CONFIG, DOCKER_CONFIG, NULL };

	if (is_one_of(media_type, types))
		return 0;
	return error_set(e, -EOPNOTSUPP, "'%.200s' is no config of a container image", media_type);
}

void image_descriptors_free(struct image_descriptors *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->items[i].media_type);
		free(d->items[i].tag);
		free(d->items[i].os);
		free(d->items[i].architecture);
	}
	free(d->items);
	*d = (struct image_descriptors){ 0 };
}

static int read_descriptor(const json_t *json, struct image_descriptor *d, struct error *e)
{
	const char *media_type, *tag, *os, *architecture;
	const json_t *platform = json_object_get(json, "platform");
	int code;

	if (!json_is_object(json))
		return error_set(e, -EBADMSG, "a descriptor is missing, or no object");
	code = image_json_text(json, "mediaType", &media_type, e);
	if (code == 0)
		code = image_json_digest(json, "digest", &d->digest, e);
	if (code == 0)
		code = image_json_size(json, "size", &d->size_bytes, e);
	if (code == 0)
		code = image_json_text(json_object_get(json, "annotations"), TAG_ANNOTATION, &tag,
				       e);
	if (code == 0)
		code = image_json_text(platform, "os", &os, e);
	if (code == 0)
		code = image_json_text(platform, "architecture", &architecture, e);
	if (code < 0)
		return code;
	d->media_type = strdup(media_type);
	d->tag = strdup(tag);
	d->os = strdup(os);
	d->architecture = strdup(architecture);
	if (!d->media_type || !d->tag || !d->os || !d->architecture)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int add_descriptor(const json_t *json, struct image_descriptors *all, const char *what,
			  size_t number, struct error *e)
{
	int code = read_descriptor(json, &all->items[all->count++], e);

	return code < 0 ? error_context(e, "%s %zu", what, number) : 0;
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
	for (size_t i = 0; i < json_array_size(layers) && code == 0; i++) {
		code = add_descriptor(json_array_get(layers, i), all, "layer", i + 1, e);
		if (code == 0 &&
		    image_manifest_check_layer_type(all->items[i + 1].media_type, e) < 0)
			code = error_context(e, "layer %zu", i + 1);
	}
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
		code = add_descriptor(json_array_get(images, i), all, "image", i + 1, e);
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
		return error_set(e, -EOPNOTSUPP, "a manifest of schema version %lld; 2 is known",
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
		return error_set(e, -EOPNOTSUPP, "'%.200s' is neither manifest nor index",
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

	if (code == 0)
		code = find_kind(json, media_type, &kind, e);
	if (code == 0)
		code = kind == IMAGE_DOCUMENT_INDEX ? read_index(json, &all, e)
						    : read_manifest(json, &all, e);
	if (code < 0)
		return code;
	*ret_kind = kind;
	*ret_descriptors = all;
	all = (struct image_descriptors){ 0 };
	return 0;
}

static int refuse_choice(const struct image_descriptors *index, const char *tag,
			 const char *architecture, size_t others, struct error *e)
{
	char tags[300] = "";

	for (size_t i = 0; i < index->count; i++) {
		size_t used = strlen(tags);

		if (*index->items[i].tag && used + 2 < sizeof(tags))
			(void)snprintf(tags + used, sizeof(tags) - used, "%s%s", used ? ", " : "",
				       index->items[i].tag);
	}
	if (others > 0)
		return error_set(e, -ENOENT, "no image for linux/%s among %zu", architecture,
				 others);
	if (!tag)
		return error_set(e, -EINVAL, "there are %zu images: name one of the tags %s",
				 index->count, tags);
	return error_set(e, -ENOENT, "no image '%s': the tags are %s", tag,
			 *tags ? tags : "none at all");
}

int image_manifest_choose(const struct image_descriptors *index, const char *tag,
			  const char *architecture, const struct image_descriptor **ret_chosen,
			  struct error *e)
{
	const struct image_descriptor *found = NULL;
	size_t matching = 0, others = 0;

	for (size_t i = 0; i < index->count; i++) {
		const struct image_descriptor *d = &index->items[i];

		if (tag && strcmp(tag, d->tag) != 0 && strcmp(tag, d->digest.text) != 0)
			continue;
		if ((*d->os && strcmp(d->os, "linux") != 0) ||
		    (*d->architecture && strcmp(d->architecture, architecture) != 0)) {
			others++;
			continue;
		}
		/* Of images for several platforms the first that fits; of several tags none. */
		if (!found || !*d->architecture)
			matching++;
		found = found ? found : d;
	}
	if (matching != 1 && !(tag && found))
		return refuse_choice(index, tag, architecture, found ? 0 : others, e);
	*ret_chosen = found;
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

const char *image_manifest_architecture(const char *machine)
{
	static const char *const names[][2] = {
		{ "x86_64", "amd64" },	  { "aarch64", "arm64" },	{ "armv7l", "arm" },
		{ "i686", "386" },	  { "ppc64le", "ppc64le" },	{ "s390x", "s390x" },
		{ "riscv64", "riscv64" }, { "loongarch64", "loong64" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(machine, names[i][0]) == 0)
			return names[i][1];
	return machine;
}
