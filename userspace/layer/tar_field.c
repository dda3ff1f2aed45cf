/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_field.h"

#include <errno.h>
#include <stdbool.h>

#define NS_DIGITS 9

/* Two's complement, big endian, behind the marker bit. */
static int base256(const unsigned char *field, size_t size, int64_t *ret_number)
{
	bool negative = field[0] & 0x40;
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char byte = field[i] ^ (negative ? 0xff : 0);

		if (i == 0)
			byte &= 0x7f;
		if (value >> 56)
			return -EBADMSG;
		value = value << 8 | byte;
	}
	if (value >> 63)
		return -EBADMSG;
	*ret_number = negative ? -1 - (int64_t)value : (int64_t)value;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\0';
}

int tar_field_number(const char *field, size_t size, int64_t *ret_number)
{
	uint64_t value = 0;

	if ((unsigned char)field[0] & 0x80)
		return base256((const unsigned char *)field, size, ret_number);
	while (size > 0 && is_blank(*field))
		field++, size--;
	while (size > 0 && is_blank(field[size - 1]))
		size--;
	for (; size > 0 && *field; field++, size--) {
		if (*field < '0' || *field > '7' || value >> 60)
			return -EBADMSG;
		value = value << 3 | (uint64_t)(*field - '0');
	}
	*ret_number = (int64_t)value;
	return 0;
}

/* Digits only, at least one. */
static int digits(const char *text, size_t length, int64_t *ret_number)
{
	int64_t value = 0;

	if (length == 0)
		return -EBADMSG;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, text[i] - '0', &value))
			return -EBADMSG;
	}
	*ret_number = value;
	return 0;
}

static bool take_sign(const char **text, size_t *length)
{
	bool negative = *length > 0 && **text == '-';

	if (negative || (*length > 0 && **text == '+'))
		(*text)++, (*length)--;
	return negative;
}

int tar_field_decimal(const char *text, size_t length, int64_t *ret_number)
{
	bool negative = take_sign(&text, &length);
	int64_t value;

	if (digits(text, length, &value) < 0)
		return -EBADMSG;
	*ret_number = negative ? -value : value;
	return 0;
}

int tar_field_time(const char *text, size_t length, struct timespec *ret_time)
{
	bool negative = take_sign(&text, &length);
	size_t whole = 0;
	int64_t seconds, ns = 0;

	while (whole < length && text[whole] != '.')
		whole++;
	if (digits(text, whole, &seconds) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < NS_DIGITS; i++) {
		size_t at = whole + 1 + i;

		if (at < length && (text[at] < '0' || text[at] > '9'))
			return -EBADMSG;
		ns = 10 * ns + (at < length ? text[at] - '0' : 0);
	}
	if (negative) {
		seconds = -seconds - (ns > 0);
		ns = ns > 0 ? 1000000000 - ns : 0;
	}
	*ret_time = (struct timespec){ .tv_sec = seconds, .tv_nsec = ns };
	return 0;
}
