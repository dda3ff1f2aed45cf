/* SPDX-License-Identifier: Apache-2.0 */
/* What the history expects of a layer. With the lock. */
#pragma once

#include "manager/state/manager_state.h"
#include "prune/forecast.h"

struct history_forecast {
	double need_rate; /* needs in each busy second; 0: the layer has no past */
	double cost_s; /* that it took to make; 0: not known */
	/* What the rate comes from. */
	double idle_s; /* busy seconds since its last need */
	double gap_s; /* usual time between its needs; 0: there was one need */
	uint32_t needs; /* its creation included */
	bool read; /* since it was made */
	bool kept_longer; /* it was read, and too little was learned to weigh that against the rest
			   */
};

/* Before a plan: what is idle is counted up to now. */
void history_forecast_count_idle(struct manager *m, int64_t now_ns);
/* False when the layer has no past. */
bool history_forecast_of(const struct manager *m, const char *layer, int64_t now_ns,
			 struct history_forecast *ret_forecast);

/* A copy of what was learned, and of how many layers. */
void history_forecast_copy(struct manager *m, int64_t now_ns, struct forecast *ret_table,
			   size_t *ret_layers, size_t *ret_departed);

#define HISTORY_FORECAST_TEXT 160
/* Writes "in about 9 days (records like it: read every 4 h or so, idle for 2 days); takes 40 s to
 * make". Needs no lock. */
void history_forecast_explain(const struct history_forecast *x, char text[HISTORY_FORECAST_TEXT]);
