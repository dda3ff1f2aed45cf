/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/fsck_report.h"

#include <stdarg.h>
#include <stdio.h>

int fsck_report(struct fsck *c, const char *kind, const char *what, bool repaired,
		const char *format, ...)
{
	struct store_finding finding = { .kind = kind, .what = what, .repaired = repaired };
	va_list args;

	va_start(args, format);
	(void)vsnprintf(finding.detail, sizeof(finding.detail), format, args);
	va_end(args);
	c->summary.found++;
	c->summary.repaired += repaired;
	return c->o->found(&finding, c->o->user);
}

bool fsck_is_cancelled(const struct fsck *c)
{
	return c->o->cancelled && atomic_load(c->o->cancelled);
}
