/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_forecast.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "manager/history/history_forecast.h"

int eviction_forecast_describe(struct manager *m, struct eviction_forecast *ret_forecast,
			       struct error *e)
{
	cleanup(free_ptr) struct forecast *table = malloc(sizeof(*table));
	cleanup(eviction_forecast_free) struct eviction_forecast f = {
		.half_life_s = forecast_half_life_s(),
		.enough_returns = forecast_learned_returns(),
	};

	manager_assert_unlocked(m);
	f.classes = calloc(FORECAST_CLASSES, sizeof(*f.classes));
	if (!table || !f.classes)
		return error_set(e, -ENOMEM, "out of memory for the forecast");
	manager_lock(m);
	history_forecast_copy(m, clock_wall_ns(), table, &f.layers, &f.departed);
	manager_unlock(m);
	f.busy_s = table->busy_s;
	for (size_t i = 0; i < FORECAST_CLASSES; i++)
		f.count += forecast_describe(table, i, &f.classes[f.count]);
	*ret_forecast = f;
	f.classes = NULL;
	return 0;
}

void eviction_forecast_free(struct eviction_forecast *f)
{
	free(f->classes);
	f->classes = NULL;
}
