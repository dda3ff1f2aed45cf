/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate headers, one per line. */
#include "fetch/challenge.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *text = fuzz_text(data, size);
	struct challenge c = { 0 };

	for (char *rest = text; rest;)
		assert(challenge_add(&c, strsep(&rest, "\n")) == 0);
	/* A text from the headers is never longer than the headers. */
	assert(!c.realm || strlen(c.realm) <= size);
	challenge_free(&c);
	return 0;
}
