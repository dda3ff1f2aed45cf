/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "image/image_json.h"

#define TIME_TEXT_SIZE 64

static void diff_ids_free(struct image_diff_ids *ids)
{
	free(ids->items);
}
DEFINE_CLEANUP_VALUE(struct image_diff_ids, diff_ids_free)

static int read_diff_ids(const json_t *json, struct image_diff_ids *ids, struct error *e)
{
	json_t *array;
	int code = image_json_array(json_object_get(json, "rootfs"), "diff_ids", IMAGE_LAYERS_MAX,
				    &array, e);

	if (code < 0)
		return code;
	ids->items = calloc(json_array_size(array) + 1, sizeof(*ids->items));
	if (!ids->items)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < json_array_size(array) && code == 0; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		code = digest_parse(text ? text : "", &ids->items[ids->count++], e);
		if (code < 0)
			code = error_context(e, "diff id %zu", i + 1);
	}
	return code;
}

int image_config_parse(const void *bytes, size_t length, struct image_diff_ids *ret_diff_ids,
		       struct error *e)
{
	cleanup(json_unref) json_t *json = NULL;
	cleanup(diff_ids_free) struct image_diff_ids ids = { 0 };
	int code = image_json_parse(bytes, length, "config of the image", &json, e);

	if (code < 0)
		return code;
	code = read_diff_ids(json, &ids, e);
	if (code < 0)
		return code;
	*ret_diff_ids = ids;
	ids = (struct image_diff_ids){ 0 };
	return 0;
}

static void format_time(int64_t ns, char text[TIME_TEXT_SIZE])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) ||
	    strftime(text, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(text, TIME_TEXT_SIZE, "1970-01-01T00:00:00Z");
}

static json_t *fresh_config(const char *architecture)
{
	return json_pack("{s:s, s:s, s:{}, s:{s:s, s:[]}, s:[]}", "architecture", architecture,
			 "os", "linux", "config", "rootfs", "type", "layers", "diff_ids",
			 "history");
}

static int append_layer(json_t *json, const struct image_config_layer *layer)
{
	json_t *diff_ids = json_object_get(json_object_get(json, "rootfs"), "diff_ids");
	json_t *history = json_object_get(json, "history");
	char created[TIME_TEXT_SIZE];

	format_time(layer->created_ns, created);
	if (!json_is_array(history)) {
		history = json_array();
		if (json_object_set_new(json, "history", history) < 0)
			return -ENOMEM;
	}
	if (json_array_append_new(diff_ids, json_string(layer->diff_id.text)) < 0 ||
	    json_array_append_new(history, json_pack("{s:s, s:s}", "created", created, "created_by",
						     layer->created_by)) < 0 ||
	    json_object_set_new(json, "created", json_string(created)) < 0)
		return -ENOMEM;
	return 0;
}

/* The base's layers have to be the lowest ones. */
static int check_base(const struct image_diff_ids *ids, const struct image_config_layer *layers,
		      size_t count, struct error *e)
{
	if (ids->count > count)
		return error_set(e, -EINVAL, "the config has %zu layers, the chain %zu", ids->count,
				 count);
	for (size_t i = 0; i < ids->count; i++)
		if (!digest_equal(&ids->items[i], &layers[i].diff_id))
			return error_set(e, -EINVAL, "layer %zu is %s in the config, not %s", i + 1,
					 ids->items[i].text, layers[i].diff_id.text);
	return 0;
}

static int copy_base(const void *base, size_t length, char **ret_text, size_t *ret_length,
		     struct error *e)
{
	char *text = malloc(length + 1);

	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	memcpy(text, base, length);
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

/* The base with the layers that it lacks. */
static int extend(json_t *json, const struct image_config_layer *layers, size_t count,
		  const void *base, size_t base_length, char **ret_text, size_t *ret_length,
		  struct error *e)
{
	cleanup(diff_ids_free) struct image_diff_ids ids = { 0 };
	int code = read_diff_ids(json, &ids, e);

	if (code < 0)
		return code;
	code = check_base(&ids, layers, count, e);
	if (code < 0)
		return code;
	if (base && ids.count == count)
		return copy_base(base, base_length, ret_text, ret_length, e);
	for (size_t i = ids.count; i < count; i++)
		if (append_layer(json, &layers[i]) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	return image_json_write(json, ret_text, ret_length, e);
}

int image_config_build(const void *base, size_t base_length,
		       const struct image_config_layer *layers, size_t count,
		       const char *architecture, char **ret_text, size_t *ret_length,
		       struct error *e)
{
	cleanup(json_unref) json_t *json = NULL;
	int code;

	if (!base) {
		json = fresh_config(architecture);
		if (!json)
			return error_set(e, -ENOMEM, "out of memory");
	} else {
		code = image_json_parse(base, base_length, "config of the image", &json, e);
		if (code < 0)
			return code;
	}
	return extend(json, layers, count, base, base_length, ret_text, ret_length, e);
}
