/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/output_table.h"

static const struct output_column columns[] = {
	{ "ID", "", OUTPUT_TABLE_LEFT, 0 },
	{ "LAST USED", "", OUTPUT_TABLE_LEFT, 0 },
	{ "COPY-UPS", "", OUTPUT_TABLE_RIGHT, 0 },
	{ NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

static void unknown_and_repeated_column_names_are_refused(void **unused)
{
	(void)unused;
	static const struct {
		const char *wanted;
		const char *refusal; /* part of its text; NULL: fine */
	} cases[] = {
		{ "ID", NULL },
		{ "id,last used", NULL },
		{ "Last_Used,id", NULL },
		{ "last-used,copy-ups", NULL },
		{ "id,", NULL },
		{ "", "no column" },
		{ ",id", "unknown column ''" },
		{ "i", "unknown column 'i' (columns: ID, LAST USED, COPY-UPS)" },
		{ "idx", "unknown column 'idx'" },
		{ "id,nix", "unknown column 'nix'" },
		{ "copy_ups", "unknown column 'copy_ups'" },
		{ "id,ID", "'ID' is named twice" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error e = { 0 };
		int r = output_table_check(cases[i].wanted, columns, &e);

		assert_int_equal(r, cases[i].refusal ? -EINVAL : 0);
		if (cases[i].refusal && !strstr(e.text, cases[i].refusal))
			fail_msg("%s: '%s'", cases[i].wanted, e.text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_and_repeated_column_names_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
