/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of images: members of the right type, or an error that names them. Takes what Go's
 * encoding/json takes of duplicate names, NULs and invalid UTF-8. Private to image/. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/digest.h"

static inline void cleanup_json_unref(json_t **json)
{
	json_decref(*json);
}

/* Parses an object; `what` names the document in errors. -EBADMSG; -EFBIG: over IMAGE_JSON_MAX. */
int image_json_parse(const void *bytes, size_t length, const char *what, json_t **ret_json,
		     struct error *e);
/* A borrowed text, "" when missing. -EBADMSG: another type. */
int image_json_text(const json_t *object, const char *key, const char **ret_text, struct error *e);
/* A borrowed array. -EBADMSG: missing, another type, or too many entries. */
int image_json_array(const json_t *object, const char *key, size_t maximum, json_t **ret_array,
		     struct error *e);
int image_json_digest(const json_t *object, const char *key, struct digest *ret_digest,
		      struct error *e);
/* A number from 0. */
int image_json_size(const json_t *object, const char *key, int64_t *ret_size, struct error *e);
/* *ret_text is the caller's to free. */
int image_json_write(const json_t *json, char **ret_text, size_t *ret_length, struct error *e);
