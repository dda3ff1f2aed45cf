/* SPDX-License-Identifier: Apache-2.0 */
/* A whiteout hides one component, and a cleaned path stays below its directory. */
#include <errno.h>

#include "layer/beneath.h"
#include "layer/whiteout.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *text = fuzz_text(data, size);
	char clean[BENEATH_PATH_SIZE], again[BENEATH_PATH_SIZE], shown[BENEATH_SHOWN_SIZE];
	const char *name = NULL, *last;
	struct error e;

	assert(strlen(beneath_show(text, shown)) < BENEATH_SHOWN_SIZE);
	for (const char *c = shown; *c; c++)
		assert(*c >= ' ' && *c < 0x7f);
	if (beneath_clean(text, clean, &e) < 0)
		return 0;
	assert(beneath_clean(clean, again, &e) == 0 && strcmp(clean, again) == 0);
	assert(clean[0] != '/' && !strstr(clean, "//"));
	if (whiteout_of(clean, &name) != WHITEOUT_OF_NAME)
		return 0;
	(void)beneath_parent(clean, &last);
	assert(name > last && !strchr(name, '/') && *name);
	assert(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	return 0;
}
