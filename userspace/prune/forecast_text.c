/* SPDX-License-Identifier: Apache-2.0 */
#include "prune/forecast_text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* "1 BUSY LAST_NEED WEIGHT WEIGHED" and, for each cell that is not empty, "CLASS BIN RETURNS IDLE",
 * a line each. */
#define VERSION 1

int forecast_text_write(const struct forecast *f, struct strbuf *out)
{
	strbuf_appendf(out, "%d %.17g %" PRId64 " %.17g %.17g\n", VERSION, f->busy_s,
		       f->need_wall_ns, f->weight, f->weighed_s);
	for (size_t i = 0; i < FORECAST_CLASSES; i++)
		for (size_t bin = 0; bin < FORECAST_BINS; bin++) {
			const struct forecast_row *row = &f->rows[i];

			if (row->returns[bin] > 0 || row->idle_s[bin] > 0)
				strbuf_appendf(out, "%zu %zu %.9g %.9g\n", i, bin,
					       row->returns[bin], row->idle_s[bin]);
		}
	return strbuf_failed(out) ? -ENOMEM : 0;
}

static bool is_amount(double value)
{
	return isfinite(value) && value >= 0;
}

static void add_to_sum(struct forecast_row *row, size_t bin, double returns, double idle_s)
{
	row->returns[bin] += returns;
	row->idle_s[bin] += idle_s;
	row->returned += returns;
}

static int read_cells(const char *text, struct forecast *f)
{
	double returns, idle_s;
	unsigned class, bin;
	int length = 0;

	while (sscanf(text, "%u %u %lg %lg\n%n", &class, &bin, &returns, &idle_s, &length) == 4) {
		if (class >= FORECAST_CLASSES || bin >= FORECAST_BINS || !is_amount(returns) ||
		    !is_amount(idle_s))
			return -EINVAL;
		add_to_sum(&f->rows[class], bin, returns, idle_s);
		add_to_sum(&f->by_gap[class % FORECAST_GAPS], bin, returns, idle_s);
		add_to_sum(&f->all, bin, returns, idle_s);
		text += length;
	}
	return *text ? -EINVAL : 0;
}

int forecast_text_read(const char *text, struct forecast *ret_forecast)
{
	int version = 0, length = 0;
	struct forecast f;

	forecast_init(&f);
	forecast_init(ret_forecast);
	if (sscanf(text, "%d %lg %" SCNd64 " %lg %lg\n%n", &version, &f.busy_s, &f.need_wall_ns,
		   &f.weight, &f.weighed_s, &length) != 5 ||
	    version != VERSION || !is_amount(f.busy_s) || f.need_wall_ns < 0 ||
	    !(f.weight >= 1 && isfinite(f.weight)) || !is_amount(f.weighed_s) ||
	    f.weighed_s > f.busy_s || read_cells(text + length, &f) < 0)
		return -EINVAL;
	*ret_forecast = f;
	return 0;
}
