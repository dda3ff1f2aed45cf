/* SPDX-License-Identifier: Apache-2.0 */
/* One filter per line. */
#include "graph/record_filter.h"
#include "tests/fuzz/fuzz_target.h"

#define FILTERS_MAX 16

static const char *field_of(const char *const *path, size_t parts, char *buffer, size_t size,
			    void *user)
{
	static const struct {
		const char *name, *text;
	} fields[] = {
		{ "id", "abc" },       { "empty", "" },	       { "size", "10485760" },
		{ "ratio", "0.25" },   { "negative", "-3" },   { "opens", "18446744073709551615" },
		{ "mutable", "true" }, { "description", "x" },
	};

	(void)user;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (parts == 1 && strcmp(path[0], fields[i].name) == 0)
			return fields[i].text;
	if (parts < 2)
		return NULL;
	(void)snprintf(buffer, size, "%s", path[parts - 1]);
	return buffer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	cleanup(free_ptr) char *text = fuzz_text(data, size);
	const char *filters[FILTERS_MAX];
	size_t count = 0;
	struct error e = { 0 };

	for (char *line = text; line && count < FILTERS_MAX; count++)
		filters[count] = strsep(&line, "\n");
	if (record_filter_parse(filters, count, &filter, &e) < 0) {
		assert(!filter && e.text[0]);
		return 0;
	}
	assert(record_filter_match(filter, field_of, NULL) ==
	       record_filter_match(filter, field_of, NULL));
	return 0;
}
