/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c reads what deflate.c writes: in pieces of any size, twice in a row, cut and changed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "layer/deflate.h"
#include "layer/inflate.h"

#define PLAIN_BYTES 300000
#define SHORT_BYTES 40000 /* more than gzip's window: enough for steps of one byte */

static char plain[PLAIN_BYTES];

static void fill_plain(void)
{
	uint32_t random = 1;

	for (size_t i = 0; i < PLAIN_BYTES; i++) {
		random = random * 1664525 + 1013904223;
		plain[i] = (i / 1000) % 2 ? (char)(random >> 24) : (char)(i / 100);
	}
}

static int append(const void *bytes, size_t length, void *out, struct error *e)
{
	(void)e;
	strbuf_append_bytes(out, bytes, length);
	return 0;
}

static struct strbuf compress(enum tar_compression compression, size_t length)
{
	cleanup(deflate_free) struct deflate *d = deflate_new(compression);
	struct strbuf out = { 0 };
	struct error e;

	assert_non_null(d);
	for (size_t at = 0; at < length; at += 20000)
		assert_int_equal(deflate_step(d, plain + at, 20000, false, append, &out, &e), 0);
	assert_int_equal(deflate_step(d, NULL, 0, true, append, &out, &e), 0);
	return out;
}

/* Overwrites the stack, because a step must not use what the step before left there. */
static __attribute__((noinline)) void scribble(void)
{
	unsigned char stack[65536];

	memset(stack, 0xa5, sizeof(stack));
	__asm__ volatile("" : : "r"(stack) : "memory");
}

/* Returns 0, or the error of a step or of the end. */
static int decompress(enum tar_compression compression, const struct strbuf *in, size_t in_step,
		      size_t out_step, struct strbuf *out)
{
	cleanup(inflate_free) struct inflate *z = inflate_new(compression);
	cleanup(free_ptr) char *piece = malloc(out_step);
	struct error e;

	assert_non_null(z);
	for (size_t at = 0; at < in->length; at += in_step) {
		struct inflate_buffers b = { .in = in->text + at };
		int r;

		b.in_left = in->length - at < in_step ? in->length - at : in_step;
		do {
			b.out = piece;
			b.out_left = out_step;
			scribble();
			r = inflate_step(z, &b, &e);
			if (r < 0)
				return r;
			strbuf_append_bytes(out, piece, out_step - b.out_left);
		} while (b.in_left > 0 || b.out_left == 0);
	}
	return inflate_end(z, &e);
}

static void round_trip(enum tar_compression compression, size_t length, size_t in_step,
		       size_t out_step)
{
	cleanup(strbuf_free) struct strbuf one = compress(compression, length);
	cleanup(strbuf_free) struct strbuf two = { 0 };
	cleanup(strbuf_free) struct strbuf out = { 0 };

	strbuf_append_bytes(&two, one.text, one.length);
	strbuf_append_bytes(&two, one.text, one.length);
	assert_int_equal(decompress(compression, &two, in_step, out_step, &out), 0);
	assert_int_equal(out.length, 2 * length);
	assert_memory_equal(out.text, plain, length);
	assert_memory_equal(out.text + length, plain, length);
}

static void inflate_gives_back_what_deflate_got(void **state)
{
	static const enum tar_compression compressions[] = { TAR_COMPRESSION_GZIP,
							     TAR_COMPRESSION_ZSTD };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(compressions); i++) {
		round_trip(compressions[i], SHORT_BYTES, 1, PLAIN_BYTES);
		round_trip(compressions[i], SHORT_BYTES, 1, 7);
		round_trip(compressions[i], SHORT_BYTES, 13, 1);
		round_trip(compressions[i], PLAIN_BYTES, 13, 4096);
		round_trip(compressions[i], PLAIN_BYTES, 4096, 4096);
		round_trip(compressions[i], PLAIN_BYTES, 1000000, 1000000);
	}
}

static void cut_and_change(enum tar_compression compression)
{
	cleanup(strbuf_free) struct strbuf whole = compress(compression, PLAIN_BYTES);

	for (size_t cut = 0; cut < whole.length; cut += cut < 40 ? 1 : 9973) {
		cleanup(strbuf_free) struct strbuf out = { 0 };
		const struct strbuf part = { whole.text, cut, cut, false };

		assert_int_equal(decompress(compression, &part, 4096, 65536, &out), -EBADMSG);
	}
	/* After the header, whose time and system can have any value. */
	for (size_t at = 20; at < whole.length; at += at < 40 ? 1 : 9973) {
		cleanup(strbuf_free) struct strbuf out = { 0 };

		whole.text[at] ^= 0x55;
		assert_int_equal(decompress(compression, &whole, 4096, 65536, &out), -EBADMSG);
		whole.text[at] ^= 0x55;
	}
	/* The last byte belongs to a check sum or a length. */
	whole.text[whole.length - 1] ^= 1;
	{
		cleanup(strbuf_free) struct strbuf out = { 0 };

		assert_int_equal(decompress(compression, &whole, 4096, 65536, &out), -EBADMSG);
	}
}

static void cut_and_changed_input_is_refused(void **state)
{
	(void)state;
	cut_and_change(TAR_COMPRESSION_GZIP);
	cut_and_change(TAR_COMPRESSION_ZSTD);
}

static void every_optional_gzip_header_is_skipped(void **state)
{
	/* Every optional field, then an empty stored block. */
	static const char full[] = "\x1f\x8b\x08\x1c\0\0\0\0\0\xff\x03\0abcname\0comment\0"
				   "\x01\0\0\xff\xff\0\0\0\0\0\0\0\0";
	const struct strbuf in = { (char *)full, sizeof(full) - 1, 0, false };

	(void)state;
	for (size_t step = 1; step < 64; step += 7) {
		cleanup(strbuf_free) struct strbuf out = { 0 };

		assert_int_equal(decompress(TAR_COMPRESSION_GZIP, &in, step, 10, &out), 0);
		assert_int_equal(out.length, 0);
	}
}

static void compressions_are_told_by_their_first_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		int code;
		enum tar_compression compression;
	} cases[] = {
		{ "\x1f\x8b\x08", 3, 0, TAR_COMPRESSION_GZIP },
		{ "\x28\xb5\x2f\xfd\x04", 5, 0, TAR_COMPRESSION_ZSTD },
		{ "\x50\x2a\x4d\x18", 4, 0, TAR_COMPRESSION_ZSTD },
		{ "\x5f\x2a\x4d\x18", 4, 0, TAR_COMPRESSION_ZSTD },
		{ "\x1f", 1, 0, TAR_COMPRESSION_NONE },
		{ "usr/", 4, 0, TAR_COMPRESSION_NONE },
		{ "BZh is a name", 10, 0, TAR_COMPRESSION_NONE },
		{ "BZh91AY&SY", 10, -EOPNOTSUPP, TAR_COMPRESSION_NONE },
		{ "\xfd\x37zXZ\0\0\0\0\0", 10, -EOPNOTSUPP, TAR_COMPRESSION_NONE },
		{ "\x04\x22\x4d\x18", 4, -EOPNOTSUPP, TAR_COMPRESSION_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum tar_compression compression = TAR_COMPRESSION_NONE;
		struct error e;

		assert_int_equal(inflate_detect(cases[i].bytes, cases[i].length, &compression, &e),
				 cases[i].code);
		assert_int_equal(compression, cases[i].compression);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inflate_gives_back_what_deflate_got),
		cmocka_unit_test(cut_and_changed_input_is_refused),
		cmocka_unit_test(every_optional_gzip_header_is_skipped),
		cmocka_unit_test(compressions_are_told_by_their_first_bytes),
	};

	fill_plain();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
