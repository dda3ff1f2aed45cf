/* SPDX-License-Identifier: Apache-2.0 */
#include "base/visible_text.h"

#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"

struct character_range {
	uint32_t first, last;
};

/* Characters beyond ASCII that a terminal obeys, or that reorder the text around them. */
static const struct character_range hidden[] = {
	{ 0x80, 0x9f }, /* C1: 0x9b starts a sequence as ESC [ does */
	{ 0x61c, 0x61c }, /* Arabic letter mark */
	{ 0x200e, 0x200f }, /* direction marks */
	{ 0x2028, 0x202e }, /* line and paragraph separator, embeddings and overrides */
	{ 0x2066, 0x2069 }, /* isolates */
};

static bool is_hidden(uint32_t character)
{
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (character >= hidden[i].first && character <= hidden[i].last)
			return true;
	return false;
}

static void append_byte(struct strbuf *out, unsigned char byte)
{
	switch (byte) {
	case '\n':
		strbuf_append(out, "\\n");
		break;
	case '\r':
		strbuf_append(out, "\\r");
		break;
	case '\t':
		strbuf_append(out, "\\t");
		break;
	default:
		if (byte < 0x20 || byte >= 0x7f)
			strbuf_appendf(out, "\\x%02x", byte);
		else
			strbuf_append_bytes(out, &byte, 1);
	}
}

void visible_text_append(struct strbuf *out, const char *text, bool utf8)
{
	size_t left = strlen(text);

	while (left > 0) {
		uint32_t character;
		size_t size = utf8 ? utf8_next(text, left, &character) : 1;

		if (size == 1)
			append_byte(out, (unsigned char)*text);
		else if (is_hidden(character))
			strbuf_appendf(out, "\\u%04x", (unsigned int)character);
		else
			strbuf_append_bytes(out, text, size);
		text += size;
		left -= size;
	}
}

static void append_json_character(struct strbuf *out, const char *bytes, size_t size,
				  uint32_t character)
{
	if (character == UTF8_STRAY) /* an 8-bit terminal may obey it */
		strbuf_append(out, "\\ufffd");
	else if (character == 0x7f || is_hidden(character))
		strbuf_appendf(out, "\\u%04x", (unsigned int)character);
	else
		strbuf_append_bytes(out, bytes, size);
}

void visible_text_append_json(struct strbuf *out, const char *json)
{
	size_t left = strlen(json);

	while (left > 0) {
		uint32_t character;
		size_t size = utf8_ascii_length(json, left); /* usually the whole line */

		if (size > 0) {
			strbuf_append_bytes(out, json, size);
		} else {
			size = utf8_next(json, left, &character);
			append_json_character(out, json, size, character);
		}
		json += size;
		left -= size;
	}
}
