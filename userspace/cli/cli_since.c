/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_since.h"

#include "base/clock.h"
#include "base/units.h"

int cli_since_parse(struct cli *c, const char *text, int64_t *ret_ns, struct error *e)
{
	int64_t duration;

	if (units_parse_time(text, ret_ns) == 0)
		return 0;
	if (units_parse_duration(text, &duration) < 0)
		return cli_usage(c, e, "invalid time '%s' (examples: 7d, 2024-05-01T10:00:00Z)",
				 text);
	*ret_ns = clock_wall_ns() - duration;
	return 0;
}
