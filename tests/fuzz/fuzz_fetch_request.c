/* SPDX-License-Identifier: Apache-2.0 */
/* A request of the agent, as varve-fetch reads it. An accepted request is the same after it was
 * written. */
#include "content/fetch_protocol.h"
#include "fetch/registry_url.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(strbuf_free) struct strbuf again = { 0 };
	cleanup(free_ptr) char *url = NULL;
	struct fetch_request request;

	if (fetch_request_read(data, size, &request) < 0)
		return 0;
	fetch_request_write(&request, &again);
	assert(again.length == size && memcmp(again.text, data, size) == 0);
	if (registry_url_base(request.registry, &url, NULL) == 0)
		assert(strncmp(url, "https://", 8) == 0 || registry_url_is_loopback(url));
	return 0;
}
