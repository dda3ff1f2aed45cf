/* SPDX-License-Identifier: Apache-2.0 */
/* A reply of varve-fetch, as the agent reads it. */
#include "content/fetch_protocol.h"
#include "tests/fuzz/fuzz_target.h"

static void assert_printable(const char *text)
{
	for (; text && *text; text++)
		assert(*text >= 0x20 && *text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fetch_reply reply;

	if (fetch_reply_read(data, size, &reply) < 0)
		return 0;
	assert_printable(reply.text);
	assert_printable(reply.media_type);
	assert_printable(reply.digest);
	assert(reply.size_bytes >= -1);
	assert(reply.kind != FETCH_REPLY_FAILED || reply.code < 0);
	assert(reply.kind != FETCH_REPLY_BYTES || reply.length > 0);
	if (reply.length > 0)
		assert((const uint8_t *)reply.bytes + reply.length == data + size);
	return 0;
}
