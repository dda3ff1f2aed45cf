/* SPDX-License-Identifier: Apache-2.0 */
/* How long ago something was read, in steps that grow: their names, colours and glyphs. */
#pragma once

#include <stdint.h>

enum heat_age {
	HEAT_HOUR,
	HEAT_DAY,
	HEAT_WEEK,
	HEAT_MONTH,
	HEAT_OLDER,
	HEAT_NEVER,
	HEAT_UNKNOWN, /* not counted, or accesses were lost */
	HEAT_AGES,
};

/* For the time of a last read, where 0 means never. */
#define HEAT_NOT_KNOWN (-1)

struct heat_age_style {
	const char *name; /* "within an hour" */
	const char *fill; /* of SVG: a colour, or a pattern of heat_svg.c */
	const char *ink; /* for text on it */
	unsigned char red, green, blue; /* for terminals */
	char glyph; /* for terminals without colours */
};

enum heat_age heat_age_of(int64_t last_read_ns, int64_t now_ns);
const struct heat_age_style *heat_age_style(enum heat_age age);
