/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/deflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <zstd.h>

#define OUT_BYTES ((size_t)256 << 10)
#define ZSTD_LEVEL 3

struct deflate {
	enum tar_compression compression;
	struct isal_zstream gzip;
	uint8_t *level_buffer;
	ZSTD_CStream *zstd;
	char out[OUT_BYTES];
};

struct deflate *deflate_new(enum tar_compression compression)
{
	cleanup(deflate_free) struct deflate *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->compression = compression;
	if (compression == TAR_COMPRESSION_GZIP) {
		d->level_buffer = malloc(ISAL_DEF_LVL1_DEFAULT);
		if (!d->level_buffer)
			return NULL;
		isal_deflate_init(&d->gzip);
		d->gzip.level = 1;
		d->gzip.level_buf = d->level_buffer;
		d->gzip.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
		d->gzip.gzip_flag = IGZIP_GZIP;
	} else if (compression == TAR_COMPRESSION_ZSTD) {
		d->zstd = ZSTD_createCStream();
		if (!d->zstd ||
		    ZSTD_isError(
			    ZSTD_CCtx_setParameter(d->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
		    ZSTD_isError(ZSTD_CCtx_setParameter(d->zstd, ZSTD_c_checksumFlag, 1)))
			return NULL;
	}
	return take_ptr(d);
}

void deflate_free(struct deflate *d)
{
	if (!d)
		return;
	(void)ZSTD_freeCStream(d->zstd); /* cannot fail, and NULL is fine */
	free(d->level_buffer);
	free(d);
}

/* Both return the number of bytes in d->out; *ret_more: call again before giving more. */
static long step_gzip(struct deflate *d, bool *ret_more, struct error *e)
{
	struct isal_zstream *z = &d->gzip;
	int code;

	z->next_out = (uint8_t *)d->out;
	z->avail_out = OUT_BYTES;
	code = isal_deflate(z);
	if (code != COMP_OK)
		return error_set(e, -EIO, "gzip: error %d", code);
	*ret_more = z->avail_in > 0 || z->avail_out == 0 ||
		    (z->end_of_stream && z->internal_state.state != ZSTATE_END);
	return (long)(OUT_BYTES - z->avail_out);
}

static long step_zstd(struct deflate *d, ZSTD_inBuffer *in, bool last, bool *ret_more,
		      struct error *e)
{
	ZSTD_outBuffer out = { d->out, OUT_BYTES, 0 };
	size_t left = ZSTD_compressStream2(d->zstd, &out, in, last ? ZSTD_e_end : ZSTD_e_continue);

	if (ZSTD_isError(left))
		return error_set(e, -EIO, "zstd: %s", ZSTD_getErrorName(left));
	*ret_more = in->pos < in->size || (last && left > 0);
	return (long)out.pos;
}

int deflate_step(struct deflate *d, const void *bytes, size_t length, bool last,
		 int (*write)(const void *bytes, size_t length, void *user, struct error *e),
		 void *user, struct error *e)
{
	ZSTD_inBuffer in = { bytes, length, 0 };
	bool more = true;

	if (d->compression == TAR_COMPRESSION_NONE)
		return length > 0 ? write(bytes, length, user, e) : 0;
	d->gzip.next_in = (uint8_t *)bytes;
	d->gzip.avail_in = (uint32_t)length; /* slots are small */
	d->gzip.end_of_stream = last;
	while (more) {
		long out = d->compression == TAR_COMPRESSION_GZIP
				   ? step_gzip(d, &more, e)
				   : step_zstd(d, &in, last, &more, e);
		int code = (int)(out < 0 ? out : 0);

		if (out > 0)
			code = write(d->out, (size_t)out, user, e);
		if (code < 0)
			return code;
	}
	return 0;
}
