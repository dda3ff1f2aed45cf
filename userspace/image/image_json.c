/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_json.h"

#include <errno.h>
#include <string.h>

#include "image/image_manifest.h"

int image_json_parse(const void *bytes, size_t length, const char *what, json_t **ret_json,
		     struct error *e)
{
	json_error_t at;
	json_t *json;

	if (length > IMAGE_JSON_MAX)
		return error_set(e, -EFBIG, "the %s has %zu bytes; %d are the most that is read",
				 what, length, IMAGE_JSON_MAX);
	json = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &at);
	if (!json)
		return error_set(e, -EBADMSG, "the %s is no JSON: %s in line %d", what, at.text,
				 at.line);
	if (!json_is_object(json)) {
		json_decref(json);
		return error_set(e, -EBADMSG, "the %s is no JSON object", what);
	}
	*ret_json = json;
	return 0;
}

int image_json_text(const json_t *object, const char *key, const char **ret_text, struct error *e)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value)) {
		*ret_text = "";
		return 0;
	}
	if (!json_is_string(value))
		return error_set(e, -EBADMSG, "'%s' is no text", key);
	*ret_text = json_string_value(value);
	return 0;
}

int image_json_array(const json_t *object, const char *key, size_t maximum, json_t **ret_array,
		     struct error *e)
{
	json_t *array = json_object_get(object, key);

	if (!json_is_array(array))
		return error_set(e, -EBADMSG, "'%s' is missing, or no list", key);
	if (json_array_size(array) > maximum)
		return error_set(e, -EBADMSG, "'%s' has %zu entries; %zu are the most that is read",
				 key, json_array_size(array), maximum);
	*ret_array = array;
	return 0;
}

int image_json_digest(const json_t *object, const char *key, struct digest *ret_digest,
		      struct error *e)
{
	const char *text = "";
	int code = image_json_text(object, key, &text, e);

	return code < 0 ? code : digest_parse(text, ret_digest, e);
}

int image_json_size(const json_t *object, const char *key, int64_t *ret_size, struct error *e)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return error_set(e, -EBADMSG, "'%s' is missing, or no size", key);
	*ret_size = json_integer_value(value);
	return 0;
}

int image_json_write(const json_t *json, char **ret_text, size_t *ret_length, struct error *e)
{
	char *text = json_dumps(json, JSON_COMPACT);

	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_text = text;
	*ret_length = strlen(text);
	return 0;
}
