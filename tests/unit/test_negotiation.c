/* SPDX-License-Identifier: Apache-2.0 */
#include "web/negotiation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void open_metrics_is_chosen_only_where_it_is_preferred(void **state)
{
	static const struct {
		const char *accept;
		bool wanted;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "text/plain", false },
		{ "application/openmetrics-text", true },
		{ "APPLICATION/OpenMetrics-Text; Version=1.0.0", true },
		{ "application/openmetrics-text; version=0.0.1", false },
		{ "application/openmetrics-text; version=2.0.0, */*;q=0.1", false },
		{ "application/openmetrics-text;version=1.0.0,"
		  "application/openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  true },
		{ "application/openmetrics-text;q=0.3, text/plain;q=0.5", false },
		{ "application/openmetrics-text;q=0", false },
		{ "application/openmetrics-text;q=nan", false },
		{ "application/openmetrics-text;q=1e9999999, text/plain", false },
		{ ",,;;,;q=,application/openmetrics-text;;", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (negotiation_wants_open_metrics(cases[i].accept) != cases[i].wanted)
			fail_msg("wrong for '%s'", cases[i].accept ? cases[i].accept : "(none)");
}

static void only_names_of_this_machine_are_local(void **state)
{
	static const char *const local[] = { "localhost",    "LOCALHOST:9842", "127.0.0.1",
					     "127.1.2.3:80", "[::1]",	       "[::1]:9842" };
	static const char *const foreign[] = { "",
					       "localhost.example",
					       "localhost:80x",
					       "evil.example",
					       "127.0.0.1.evil.example",
					       "128.0.0.1",
					       "127.1",
					       "[::2]",
					       "[::1]x",
					       "10.0.0.1:9842" };

	(void)state;
	assert_true(negotiation_is_local_host(NULL));
	for (size_t i = 0; i < ARRAY_SIZE(local); i++)
		assert_true(negotiation_is_local_host(local[i]));
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (negotiation_is_local_host(foreign[i]))
			fail_msg("'%s' passes as local", foreign[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_metrics_is_chosen_only_where_it_is_preferred),
		cmocka_unit_test(only_names_of_this_machine_are_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
