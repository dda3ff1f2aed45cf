/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_frame.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define FIRST_CAPACITY 1024

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void take(uint8_t *to, size_t count, const uint8_t **bytes, size_t *length)
{
	memcpy(to, *bytes, count);
	*bytes += count;
	*length -= count;
}

static int read_prefix(struct grpc_frame_reader *r, const uint8_t **bytes, size_t *length,
		       struct error *e)
{
	size_t missing = sizeof(r->prefix) - r->prefix_length;
	size_t count = smaller(missing, *length);
	uint32_t announced;

	take(r->prefix + r->prefix_length, count, bytes, length);
	r->prefix_length += count;
	if (count < missing)
		return 0;

	if (r->prefix[0] != 0)
		return error_set(e, -EOPNOTSUPP, "compressed messages are not supported");
	memcpy(&announced, r->prefix + 1, sizeof(announced));
	r->length = be32toh(announced);
	if (r->length > r->max_message_bytes)
		return error_set(e, -EMSGSIZE,
				 "a message of %zu bytes is longer than the limit of %zu bytes",
				 r->length, r->max_message_bytes);
	return 0;
}

static int reserve(struct grpc_frame_reader *r, size_t needed, struct error *e)
{
	size_t capacity = r->capacity ? r->capacity : FIRST_CAPACITY;
	uint8_t *bigger;

	if (needed <= r->capacity)
		return 0;
	while (capacity < needed)
		capacity *= 2;
	bigger = realloc(r->message, capacity);
	if (!bigger)
		return error_set(e, -ENOMEM, "no memory for a message of %zu bytes", r->length);
	r->message = bigger;
	r->capacity = capacity;
	return 0;
}

int grpc_frame_read(struct grpc_frame_reader *r, const uint8_t **bytes, size_t *length,
		    struct error *e)
{
	size_t count;
	int code;

	if (*length > 0 && r->prefix_length < sizeof(r->prefix)) {
		code = read_prefix(r, bytes, length, e);
		if (code < 0)
			return code;
	}
	if (r->prefix_length < sizeof(r->prefix))
		return 0;

	count = smaller(r->length - r->received, *length);
	if (count == 0)
		return 0;
	code = reserve(r, r->received + count, e);
	if (code < 0)
		return code;
	take(r->message + r->received, count, bytes, length);
	r->received += count;
	return 0;
}

bool grpc_frame_is_whole(const struct grpc_frame_reader *r)
{
	return r->prefix_length == sizeof(r->prefix) && r->received == r->length;
}

bool grpc_frame_is_empty(const struct grpc_frame_reader *r)
{
	return r->prefix_length == 0;
}

void grpc_frame_next(struct grpc_frame_reader *r)
{
	r->prefix_length = 0;
	r->length = 0;
	r->received = 0;
}

void grpc_frame_reader_free(struct grpc_frame_reader *r)
{
	free(r->message);
	r->message = NULL;
	r->capacity = 0;
	grpc_frame_next(r);
}

void grpc_frame_write_prefix(uint8_t prefix[GRPC_FRAME_PREFIX_BYTES], size_t length)
{
	uint32_t announced = htobe32((uint32_t)length);

	prefix[0] = 0;
	memcpy(prefix + 1, &announced, sizeof(announced));
}

char *grpc_frame_encode_text(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *encoded = malloc(3 * strlen(text) + 1);
	char *to = encoded;

	if (!encoded)
		return NULL;
	for (const char *c = text; *c; c++) {
		unsigned char byte = (unsigned char)*c;
		/* HTTP strips, or refuses, a header value with blanks at its ends. */
		bool at_end = c == text || !c[1];

		if (byte >= (at_end ? '!' : ' ') && byte <= '~' && byte != '%') {
			*to++ = (char)byte;
			continue;
		}
		*to++ = '%';
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 15];
	}
	*to = '\0';
	return encoded;
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* The byte that the digits "XX" stand for; 0 when they are invalid or stand for NUL. */
static unsigned char hex_byte(const char *digits)
{
	int high = hex_value(digits[0]);
	int low = hex_value(digits[1]);

	return (unsigned char)(high < 0 || low < 0 ? 0 : high << 4 | low);
}

char *grpc_frame_decode_text(const char *text, size_t length)
{
	char *decoded = malloc(length + 1);
	size_t used = 0;

	if (!decoded)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = 0;

		if (text[i] == '%' && length - i > 2)
			byte = hex_byte(text + i + 1);
		decoded[used++] = byte ? (char)byte : text[i];
		if (byte)
			i += 2;
	}
	decoded[used] = '\0';
	return decoded;
}

static int64_t unit_ns(char unit)
{
	switch (unit) {
	case 'H':
		return 3600 * NS_PER_S;
	case 'M':
		return 60 * NS_PER_S;
	case 'S':
		return NS_PER_S;
	case 'm':
		return NS_PER_S / 1000;
	case 'u':
		return NS_PER_S / 1000000;
	case 'n':
		return 1;
	default:
		return 0;
	}
}

int grpc_frame_parse_timeout(const char *text, size_t length, int64_t *ret_ns)
{
	int64_t value = 0;
	int64_t unit;

	if (length < 2 || length > 9)
		return -EINVAL;
	for (size_t i = 0; i < length - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (text[i] - '0');
	}
	unit = unit_ns(text[length - 1]);
	if (unit == 0)
		return -EINVAL;
	*ret_ns = value > INT64_MAX / unit ? INT64_MAX : value * unit;
	return 0;
}

bool grpc_frame_is_content_type(const char *text, size_t length)
{
	static const char expected[] = "application/grpc";
	size_t n = sizeof(expected) - 1;

	if (length < n || strncasecmp(text, expected, n) != 0)
		return false;
	return length == n || text[n] == '+' || text[n] == ';';
}
