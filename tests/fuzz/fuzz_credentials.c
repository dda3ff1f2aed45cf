/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's file with passwords. */
#include "content/credentials_file.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const registries[] = { "localhost:5000",
						  "https://registry-1.docker.io" };

	for (size_t i = 0; i < ARRAY_SIZE(registries); i++) {
		cleanup(credentials_free) struct credentials c = { 0 };
		struct error e = { 0 };

		if (credentials_find((const char *)data, size, registries[i], "library/a", &c, &e) <
		    0)
			assert(!c.text && !c.helper && e.text[0]);
		else
			assert(!c.text || (strchr(c.text, ':') && !c.helper));
	}
	return 0;
}
