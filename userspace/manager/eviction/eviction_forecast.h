/* SPDX-License-Identifier: Apache-2.0 */
/* What services show of what was learned. */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "prune/forecast.h"

struct manager;

struct eviction_forecast {
	double busy_s, half_life_s;
	double enough_returns; /* with so many, in all classes, the table has learned */
	size_t layers, departed; /* that are remembered */
	struct forecast_class *classes; /* that have learned something */
	size_t count;
};

/* Without the lock. -ENOMEM. *ret_forecast is the caller's to free. */
int eviction_forecast_describe(struct manager *m, struct eviction_forecast *ret_forecast,
			       struct error *e);
void eviction_forecast_free(struct eviction_forecast *f);
DEFINE_CLEANUP_VALUE(struct eviction_forecast, eviction_forecast_free)
