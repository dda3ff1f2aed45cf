/* SPDX-License-Identifier: Apache-2.0 */
#include "regex/regex_escape.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "regex/regex_class.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Behind "\x". */
static bool read_hex(const char **at, uint32_t *ret_character)
{
	const char *next = *at;
	bool braces = *next == '{';
	unsigned digits = 0;
	uint32_t value = 0;

	for (next += braces; hex_digit(*next) >= 0 && (braces || digits < 2); next++, digits++) {
		value = value * 16 + (uint32_t)hex_digit(*next);
		if (value > REGEX_CHARACTER_MAX)
			return false;
	}
	if (braces ? digits == 0 || *next++ != '}' : digits < 2)
		return false;
	*at = next;
	*ret_character = value;
	return true;
}

/* From the first of up to three digits on. One that is not 0 needs a second: alone it would be a
 * back reference. */
static bool read_octal(const char **at, uint32_t *ret_character)
{
	const char *next = *at;
	uint32_t value = 0;

	while (next - *at < 3 && *next >= '0' && *next <= '7')
		value = value * 8 + (uint32_t)(*next++ - '0');
	if (next == *at || (next - *at == 1 && **at != '0'))
		return false;
	*at = next;
	*ret_character = value;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int regex_escape_read(const char **at, uint32_t *ret_character, struct error *e)
{
	static const char letters[] = "afnrtv", meanings[] = "\a\f\n\r\t\v";
	const char *next = *at + 1, *known;
	char letter = *next++;

	if (letter == '\0')
		return error_set(e, -EINVAL, "trailing backslash");
	if (letter == 'p' || letter == 'P')
		return error_set(e, -EINVAL, "Unicode classes ('\\%c') are not supported", letter);
	if (letter == 'x') {
		if (!read_hex(&next, ret_character))
			return error_set(e, -EINVAL, "invalid escape '\\x'");
	} else if (letter >= '0' && letter <= '9') {
		next--;
		if (!read_octal(&next, ret_character))
			return error_set(e, -EINVAL, "back references ('\\%c') are not supported",
					 letter);
	} else if ((known = strchr(letters, letter))) {
		*ret_character = (uint32_t)meanings[known - letters];
	} else if (is_letter(letter)) {
		return error_set(e, -EINVAL, "invalid escape '\\%c'", letter);
	} else if ((unsigned char)letter >= 0x80) {
		return error_set(e, -EINVAL, "a backslash before a character beyond ASCII");
	} else {
		*ret_character = (uint32_t)letter;
	}
	*at = next;
	return 0;
}
