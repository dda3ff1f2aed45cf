/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdbool.h>

static bool is_character(uint32_t value)
{
	return value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

size_t utf8_decode(const void *bytes, size_t length, uint32_t *ret_character)
{
	static const uint32_t smallest[UTF8_MAX + 1] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *b = bytes;
	uint32_t value;
	size_t size;

	if (length == 0)
		return 0;
	if (b[0] < 0x80) {
		*ret_character = b[0];
		return 1;
	}
	if (b[0] >= 0xf0 && b[0] < 0xf8)
		size = 4;
	else if (b[0] >= 0xe0)
		size = 3;
	else
		size = 2;
	if (b[0] < 0xc0 || b[0] >= 0xf8 || size > length)
		return 0;

	value = b[0] & (0x7fU >> size);
	for (size_t i = 1; i < size; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (b[i] & 0x3fU);
	}
	if (value < smallest[size] || !is_character(value))
		return 0;
	*ret_character = value;
	return size;
}

size_t utf8_ascii_length(const char *text, size_t length)
{
	size_t at = 0;

	while (at < length && (unsigned char)text[at] < 0x7f)
		at++;
	return at;
}

size_t utf8_encode(uint32_t character, char ret_bytes[UTF8_MAX])
{
	if (!is_character(character))
		character = UTF8_REPLACEMENT;
	if (character < 0x80) {
		ret_bytes[0] = (char)character;
		return 1;
	}
	if (character < 0x800) {
		ret_bytes[0] = (char)(0xc0 | character >> 6);
		ret_bytes[1] = (char)(0x80 | (character & 0x3f));
		return 2;
	}
	if (character < 0x10000) {
		ret_bytes[0] = (char)(0xe0 | character >> 12);
		ret_bytes[1] = (char)(0x80 | (character >> 6 & 0x3f));
		ret_bytes[2] = (char)(0x80 | (character & 0x3f));
		return 3;
	}
	ret_bytes[0] = (char)(0xf0 | character >> 18);
	ret_bytes[1] = (char)(0x80 | (character >> 12 & 0x3f));
	ret_bytes[2] = (char)(0x80 | (character >> 6 & 0x3f));
	ret_bytes[3] = (char)(0x80 | (character & 0x3f));
	return 4;
}
