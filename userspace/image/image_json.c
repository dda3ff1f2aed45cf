/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_json.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/utf8.h"
#include "image/image_limits.h"

/* "\ud83d" and the like: the value; -1: it is not such an escape. */
static int read_escape(const char *text, size_t length)
{
	int value = 0;

	if (length < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	for (size_t i = 2; i < 6; i++) {
		const char *digits = "0123456789abcdef";
		const char *at = text[i] ? strchr(digits, tolower((unsigned char)text[i])) : NULL;

		if (!at)
			return -1;
		value = value * 16 + (int)(at - digits);
	}
	return value;
}

/* Copies the escape at the start of the text, or U+FFFD for half of a pair of surrogates. Returns
 * how many bytes it takes in the text. */
static size_t copy_escape(struct strbuf *out, const char *text, size_t length)
{
	int first = read_escape(text, length), second;

	if (first < 0xd800 || first > 0xdfff) {
		size_t taken = length < 2 ? length : 2; /* what follows \u is the parser's */

		strbuf_append_bytes(out, text, taken);
		return taken;
	}
	second = read_escape(text + 6, length - 6);
	if (first <= 0xdbff && second >= 0xdc00 && second <= 0xdfff) {
		strbuf_append_bytes(out, text, 12);
		return 12;
	}
	strbuf_append(out, "\\ufffd");
	return 6;
}

/* Go's encoding/json, by which containerd and docker read these documents, takes what is not a
 * character for U+FFFD; jansson refuses it. */
static void replace_bad_characters(const char *text, size_t length, struct strbuf *out)
{
	while (length > 0) {
		size_t good = utf8_ascii_length(text, length), taken = 0;
		const char *escape = memchr(text, '\\', good);
		uint32_t character;

		if (escape)
			good = (size_t)(escape - text);
		strbuf_append_bytes(out, text, good);
		text += good;
		length -= good;
		if (length == 0)
			return;
		if (*text == '\\') {
			taken = copy_escape(out, text, length);
		} else if ((taken = utf8_decode(text, length, &character)) > 0) {
			strbuf_append_bytes(out, text, taken);
		} else {
			strbuf_append(out, "\xef\xbf\xbd");
			taken = 1;
		}
		text += taken;
		length -= taken;
	}
}

int image_json_parse(const void *bytes, size_t length, const char *what, json_t **ret_json,
		     struct error *e)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	json_error_t at;
	json_t *json;

	if (length > IMAGE_JSON_MAX)
		return error_set(e, -EFBIG, "the %s has %zu bytes; at most %d are read", what,
				 length, IMAGE_JSON_MAX);
	replace_bad_characters(bytes, length, &text);
	if (strbuf_failed(&text))
		return error_set(e, -ENOMEM, "out of memory");
	/* Of two members with one name the last counts. */
	json = json_loadb(text.text ? text.text : "", text.length, JSON_ALLOW_NUL, &at);
	if (!json)
		return error_set(e, -EBADMSG, "the %s is not JSON: %s in line %d", what, at.text,
				 at.line);
	if (!json_is_object(json)) {
		json_decref(json);
		return error_set(e, -EBADMSG, "the %s is not a JSON object", what);
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
	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return error_set(e, -EBADMSG, "'%s' is not a text", key);
	*ret_text = json_string_value(value);
	return 0;
}

int image_json_array(const json_t *object, const char *key, size_t maximum, json_t **ret_array,
		     struct error *e)
{
	json_t *array = json_object_get(object, key);

	if (!json_is_array(array))
		return error_set(e, -EBADMSG, "'%s' is missing, or not a list", key);
	if (json_array_size(array) > maximum)
		return error_set(e, -EBADMSG, "'%s' has %zu entries; at most %zu are read", key,
				 json_array_size(array), maximum);
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
		return error_set(e, -EBADMSG, "'%s' is missing, or not a size", key);
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
