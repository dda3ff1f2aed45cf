/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's file with passwords. */
#include "content/credentials_file.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *credentials = NULL;
	struct error e = { 0 };

	if (credentials_find((const char *)data, size, "localhost:5000", &credentials, &e) < 0)
		assert(!credentials && e.text[0]);
	else
		assert(!credentials || strchr(credentials, ':'));
	return 0;
}
