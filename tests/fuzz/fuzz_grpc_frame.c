/* SPDX-License-Identifier: Apache-2.0 */
/* Messages in pieces whose size is the first byte, and texts of headers. */
#include "tests/fuzz/fuzz_target.h"
#include "transport/grpc_frame.h"

#define MESSAGE_BYTES_MAX 1000

static void read_messages(const uint8_t *data, size_t size, size_t piece)
{
	struct grpc_frame_reader r = { .max_message_bytes = MESSAGE_BYTES_MAX };
	struct error e = { 0 };
	int code = 0;

	for (size_t at = 0; at < size && code == 0; at += piece) {
		const uint8_t *bytes = data + at;
		size_t length = size - at < piece ? size - at : piece;

		while (length > 0 && code == 0) {
			size_t before = length;

			code = grpc_frame_read(&r, &bytes, &length, &e);
			assert(code < 0 ? !!e.text[0] : length < before);
			assert(r.received <= r.length && r.capacity <= 2 * MESSAGE_BYTES_MAX);
			if (code == 0 && grpc_frame_is_whole(&r))
				grpc_frame_next(&r);
		}
	}
	grpc_frame_reader_free(&r);
}

static void read_texts(const char *text, size_t length)
{
	cleanup(free_ptr) char *encoded = grpc_frame_encode_text(text);
	cleanup(free_ptr) char *back = grpc_frame_decode_text(encoded, strlen(encoded));
	cleanup(free_ptr) char *decoded = grpc_frame_decode_text(text, length);
	int64_t timeout_ns;

	assert(strcmp(back, text) == 0);
	assert(strlen(decoded) <= length);
	if (grpc_frame_parse_timeout(text, length, &timeout_ns) == 0)
		assert(timeout_ns >= 0);
	(void)grpc_frame_is_content_type(text, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *text = fuzz_text(data, size);

	if (size > 0)
		read_messages(data + 1, size - 1, data[0] ? data[0] : 256);
	read_texts(text, strlen(text));
	return 0;
}
