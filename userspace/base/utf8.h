/* SPDX-License-Identifier: Apache-2.0 */
/* One character of UTF-8 at a time; overlong forms, surrogates and what is beyond U+10FFFF are
 * not UTF-8. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX 4
#define UTF8_REPLACEMENT 0xfffd

/* How many of the bytes the first character takes; 0 when they do not start with one. */
size_t utf8_decode(const void *bytes, size_t length, uint32_t *ret_character);

#define UTF8_STRAY UINT32_MAX /* a byte that does not start a character */

/* For text that may be broken: how many of the bytes, of which there is at least one, the first
 * character takes, where a stray byte counts as a character. */
static inline size_t utf8_next(const void *bytes, size_t length, uint32_t *ret_character)
{
	const unsigned char *first = bytes;
	size_t size = *first < 0x80 ? 1 : utf8_decode(bytes, length, ret_character);

	if (*first < 0x80)
		*ret_character = *first;
	else if (size == 0)
		*ret_character = UTF8_STRAY;
	return size > 0 ? size : 1;
}

/* How many bytes at the start are ASCII characters, DEL not among them. */
size_t utf8_ascii_length(const char *text, size_t length);
/* How many bytes were written; what is not a character is written as U+FFFD. */
size_t utf8_encode(uint32_t character, char ret_bytes[UTF8_MAX]);
