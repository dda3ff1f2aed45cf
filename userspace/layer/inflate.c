/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/cleanup.h"

/* ISA-L counts in 32 bits. */
#define STEP_MAX (1U << 30)

struct inflate {
	enum tar_compression compression;
	bool inside; /* within a member or frame */
	bool begun;
	/* The header is read apart, because isal_inflate() loses one that arrives in pieces. */
	bool in_header;
	struct isal_gzip_header header;
	struct inflate_state gzip;
	ZSTD_DStream *zstd;
};

static int refuse(const char *name, struct error *e)
{
	return error_set(e, -EOPNOTSUPP, "the layer is compressed with %s; known are gzip and zstd",
			 name);
}

int inflate_detect(const void *bytes, size_t length, enum tar_compression *ret_compression,
		   struct error *e)
{
	static const struct {
		const char *magic;
		size_t length;
		enum tar_compression compression;
		const char *unknown;
	} known[] = {
		{ "\x1f\x8b", 2, TAR_COMPRESSION_GZIP, NULL },
		{ "\x28\xb5\x2f\xfd", 4, TAR_COMPRESSION_ZSTD, NULL },
		{ "\xfd"
		  "7zXZ",
		  6, TAR_COMPRESSION_NONE, "xz" },
		{ "\x04\x22\x4d\x18", 4, TAR_COMPRESSION_NONE, "lz4" },
		{ "\x1f\x9d", 2, TAR_COMPRESSION_NONE, "compress" },
	};
	const uint8_t *b = bytes;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (length < known[i].length || memcmp(bytes, known[i].magic, known[i].length) != 0)
			continue;
		if (known[i].unknown)
			return refuse(known[i].unknown, e);
		*ret_compression = known[i].compression;
		return 0;
	}
	if (length >= INFLATE_MAGIC_BYTES && memcmp(b, "BZh", 3) == 0 &&
	    memcmp(b + 4, "1AY&SY", 6) == 0)
		return refuse("bzip2", e);
	/* A skippable frame: 0x184D2A50 to 5F, little endian. */
	if (length >= 4 && (b[0] & 0xf0) == 0x50 && memcmp(b + 1, "\x2a\x4d\x18", 3) == 0)
		*ret_compression = TAR_COMPRESSION_ZSTD;
	else
		*ret_compression = TAR_COMPRESSION_NONE;
	return 0;
}

struct inflate *inflate_new(enum tar_compression compression)
{
	cleanup(inflate_free) struct inflate *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	z->compression = compression;
	if (compression == TAR_COMPRESSION_GZIP) {
		isal_inflate_init(&z->gzip);
		return take_ptr(z);
	}
	z->zstd = ZSTD_createDStream();
	if (!z->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax,
							    INFLATE_WINDOW_MAX_LOG)))
		return NULL;
	return take_ptr(z);
}

void inflate_free(struct inflate *z)
{
	if (!z)
		return;
	(void)ZSTD_freeDStream(z->zstd); /* cannot fail, and NULL is fine */
	free(z);
}

static int gzip_error(int code, struct error *e)
{
	const char *what = "it is corrupt";

	if (code == ISAL_INVALID_WRAPPER)
		what = "this is not the header of a gzip member";
	else if (code == ISAL_UNSUPPORTED_METHOD)
		what = "its method is not deflate";
	else if (code == ISAL_INCORRECT_CHECKSUM)
		what = "its check sum is wrong";
	return error_set(e, -EBADMSG, "gzip: %s", what);
}

static int step_gzip(struct inflate *z, struct inflate_buffers *b, struct error *e)
{
	struct inflate_state *s = &z->gzip;
	uint32_t in = b->in_left < STEP_MAX ? (uint32_t)b->in_left : STEP_MAX;
	uint32_t out = b->out_left < STEP_MAX ? (uint32_t)b->out_left : STEP_MAX;
	int code;

	if (!z->inside) {
		isal_inflate_reset(s);
		s->crc_flag = ISAL_GZIP_NO_HDR_VER;
		isal_gzip_header_init(&z->header);
		z->inside = z->in_header = true;
	}
	s->next_in = (uint8_t *)b->in;
	s->avail_in = in;
	s->next_out = (uint8_t *)b->out;
	s->avail_out = out;
	code = z->in_header ? isal_read_gzip_header(s, &z->header) : isal_inflate(s);
	z->in_header = z->in_header && code == ISAL_END_INPUT;
	/* ISAL_END_INPUT is what an incomplete header gives; everything else above 0 is about
	 * dictionaries and buffers that we do not give. */
	if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT && code != ISAL_OUT_OVERFLOW)
		return gzip_error(code, e);
	b->in = (const char *)s->next_in;
	b->out = (char *)s->next_out;
	b->in_left -= in - s->avail_in;
	b->out_left -= out - s->avail_out;
	if (s->block_state == ISAL_BLOCK_FINISH)
		z->inside = false;
	return 0;
}

static int step_zstd(struct inflate *z, struct inflate_buffers *b, struct error *e)
{
	ZSTD_inBuffer in = { b->in, b->in_left, 0 };
	ZSTD_outBuffer out = { b->out, b->out_left, 0 };
	size_t code = ZSTD_decompressStream(z->zstd, &out, &in);

	if (ZSTD_isError(code)) {
		if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
			return error_set(e, -EOPNOTSUPP,
					 "zstd: it needs a window of more than %u MiB",
					 (1U << INFLATE_WINDOW_MAX_LOG) >> 20);
		return error_set(e, -EBADMSG, "zstd: %s", ZSTD_getErrorName(code));
	}
	z->inside = code != 0;
	b->in += in.pos;
	b->in_left -= in.pos;
	b->out += out.pos;
	b->out_left -= out.pos;
	return 0;
}

int inflate_step(struct inflate *z, struct inflate_buffers *b, struct error *e)
{
	/* Output may be pending without input, which is known only by filling the buffer. */
	bool pending = true;

	while (b->out_left > 0 && (b->in_left > 0 || (pending && z->inside))) {
		size_t in_left = b->in_left, out_left = b->out_left;
		int code = z->compression == TAR_COMPRESSION_GZIP ? step_gzip(z, b, e)
								  : step_zstd(z, b, e);

		if (code < 0)
			return code;
		z->begun = true;
		pending = in_left != b->in_left || out_left != b->out_left;
		if (!pending && b->in_left > 0)
			return error_set(e, -EBADMSG, "the compressed stream does not move on");
	}
	return 0;
}

int inflate_end(const struct inflate *z, struct error *e)
{
	if (z->inside || !z->begun)
		return error_set(e, -EBADMSG, "%s: it is cut off",
				 z->compression == TAR_COMPRESSION_GZIP ? "gzip" : "zstd");
	return 0;
}
