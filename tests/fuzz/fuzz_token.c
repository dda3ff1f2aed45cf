/* SPDX-License-Identifier: Apache-2.0 */
/* An answer of a token server, and a registry's answer about a failure. */
#include "fetch/challenge.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *token = NULL;
	char problem[50];
	struct error e = { 0 };

	if (challenge_read_token((const char *)data, size, &token, &e) == 0) {
		for (const char *c = token; *c; c++)
			assert(*c > 0x20 && *c < 0x7f);
	} else {
		assert(!token && e.text[0]);
	}
	challenge_read_problem((const char *)data, size, problem, sizeof(problem));
	return 0;
}
