/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte is the size of the pieces; the rest is a gzip or zstd stream. */
#include <errno.h>

#include "layer/inflate.h"
#include "tests/fuzz/fuzz_target.h"

#define OUT_MAX ((size_t)4 << 20)

static int inflate_pieces(struct inflate *z, const char *in, size_t left, size_t step,
			  struct error *e)
{
	char out[4096];
	size_t total = 0;

	while (left > 0 && total < OUT_MAX) {
		struct inflate_buffers b = { .in = in, .in_left = left < step ? left : step };

		left -= b.in_left;
		in += b.in_left;
		do {
			int r;

			b.out = out;
			b.out_left = step < sizeof(out) ? step : sizeof(out);
			total += b.out_left;
			r = inflate_step(z, &b, e);
			if (r < 0)
				return r;
		} while ((b.in_left > 0 || b.out_left == 0) && total < OUT_MAX);
	}
	return total < OUT_MAX ? inflate_end(z, e) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum tar_compression compression;
	struct error e = { 0 };
	int r;

	if (size < 1 || inflate_detect(data + 1, size - 1, &compression, &e) < 0 ||
	    compression == TAR_COMPRESSION_NONE)
		return 0;
	cleanup(inflate_free) struct inflate *z = inflate_new(compression);
	cleanup(free_ptr) char *copy = malloc(size); /* shows reads behind the end */

	assert(z && copy);
	memcpy(copy, data + 1, size - 1);
	r = inflate_pieces(z, copy, size - 1, 1 + (size_t)data[0] * 16, &e);
	assert(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP || r == -ENOMEM);
	assert(r == 0 || e.text[0]);
	return 0;
}
