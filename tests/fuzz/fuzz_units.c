/* SPDX-License-Identifier: Apache-2.0 */
/* A parsed value can be formatted, and parsing that gives the same value. */
#include "base/units.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *text = fuzz_text(data, size);
	char written[UNITS_TEXT_MAX];
	int64_t value, again;
	double share;

	if (units_parse_size(text, 0, &value) == 0) {
		assert(value >= 0);
		(void)units_format_size(value, written);
	}
	if (units_parse_size(text, INT64_MAX, &value) == 0)
		assert(value >= 0);
	if (units_parse_share(text, &share) == 0)
		assert(share >= 0 && share <= 1);
	if (units_parse_duration(text, &value) == 0) {
		assert(value >= 0);
		assert(units_parse_duration(units_format_duration(value, written), &again) == 0);
		assert(again == value);
	}
	if (units_parse_time(text, &value) == 0) {
		assert(units_parse_time(units_format_time(value, written), &again) == 0);
		assert(again == value);
		(void)units_format_age(value, 0, written);
	}
	return 0;
}
