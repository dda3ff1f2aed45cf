/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_age.h"

#include "base/clock.h"

#define HOUR_NS (3600 * NS_PER_S)

/*
 * Steps of cividis, which looks alike to people with and without colour vision, and whose
 * brightness falls from step to step, so that it can be read in grey print. What was never read and
 * what is not known have patterns.
 */
static const struct heat_age_style styles[HEAT_AGES] = {
	[HEAT_HOUR] = { "within an hour", "#fee838", "#000", 254, 232, 56, '#' },
	[HEAT_DAY] = { "within a day", "#cdbb68", "#000", 205, 187, 104, '%' },
	[HEAT_WEEK] = { "within a week", "#969078", "#000", 150, 144, 120, '*' },
	[HEAT_MONTH] = { "within 30 days", "#5d636f", "#fff", 93, 99, 111, '+' },
	[HEAT_OLDER] = { "longer ago", "#12305f", "#fff", 18, 48, 95, '-' },
	[HEAT_NEVER] = { "never", "url(#never)", "#000", 225, 225, 225, '.' },
	[HEAT_UNKNOWN] = { "not known", "url(#unknown)", "#000", 245, 245, 245, '?' },
};

enum heat_age heat_age_of(int64_t last_read_ns, int64_t now_ns)
{
	static const int64_t limits[] = { HOUR_NS, 24 * HOUR_NS, 7 * 24 * HOUR_NS,
					  30 * 24 * HOUR_NS };

	if (last_read_ns == HEAT_NOT_KNOWN)
		return HEAT_UNKNOWN;
	if (last_read_ns == 0)
		return HEAT_NEVER;
	for (enum heat_age age = HEAT_HOUR; age < HEAT_OLDER; age++)
		if (now_ns - last_read_ns <= limits[age])
			return age;
	return HEAT_OLDER;
}

const struct heat_age_style *heat_age_style(enum heat_age age)
{
	return &styles[age];
}
