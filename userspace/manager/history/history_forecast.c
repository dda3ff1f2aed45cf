/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history_forecast.h"

#include <stdio.h>

#include "base/units.h"
#include "manager/history/history_state.h"

void history_forecast_count_idle(struct manager *m, int64_t now_ns)
{
	struct past *p;
	size_t at = 0;

	manager_assert_locked(m);
	while (m->history && (p = hashmap_next(m->history->pasts, &at)))
		forecast_count_idle(&m->history->forecast, &p->past, now_ns);
}

bool history_forecast_of(const struct manager *m, const char *layer, int64_t now_ns,
			 struct history_forecast *ret_forecast)
{
	const struct past *p = history_state_find(m, layer);
	const struct forecast *f = m->history ? &m->history->forecast : NULL;

	manager_assert_locked(m);
	if (!p)
		return false;
	*ret_forecast = (struct history_forecast){
		.need_rate = forecast_rate(f, &p->past, now_ns),
		.cost_s = (double)p->cost_ms / 1e3,
		.idle_s = forecast_busy_s(f, now_ns) - p->past.last_s,
		.gap_s = forecast_usual_gap_s(&p->past),
		.needs = p->past.needs,
		.read = forecast_was_read(&p->past),
		.kept_longer = forecast_was_read(&p->past) && !forecast_has_learned(f),
	};
	return true;
}

void history_forecast_copy(struct manager *m, int64_t now_ns, struct forecast *ret_table,
			   size_t *ret_layers, size_t *ret_departed)
{
	manager_assert_locked(m);
	forecast_init(ret_table);
	*ret_layers = *ret_departed = 0;
	if (!m->history)
		return;
	history_forecast_count_idle(m, now_ns);
	*ret_table = m->history->forecast;
	*ret_layers = hashmap_count(m->history->pasts);
	*ret_departed = hashmap_count(m->history->departed);
}

/* Writes "read every 4 h or so, idle for 2 days". */
static void explain_class(const struct history_forecast *x, char *text, size_t size)
{
	char gap[UNITS_TEXT_MAX], idle[UNITS_TEXT_MAX];

	units_format_about(x->idle_s, idle);
	if (x->gap_s > 0)
		(void)snprintf(text, size, "read every %s or so, idle for %s",
			       units_format_about(x->gap_s, gap), idle);
	else
		(void)snprintf(text, size, "%s, idle for %s",
			       x->read ? "read when they were made" : "not read", idle);
}

void history_forecast_explain(const struct history_forecast *x, char text[HISTORY_FORECAST_TEXT])
{
	char again[UNITS_TEXT_MAX], cost[UNITS_TEXT_MAX], class[80] = "";
	int used;

	if (x->needs > 0)
		explain_class(x, class, sizeof(class));
	units_format_about(1 / x->need_rate, again);
	used = snprintf(text, HISTORY_FORECAST_TEXT, "in %s%s%s%s%s",
			*again >= '0' && *again <= '9' ? "about " : "", again,
			*class ? " (records like it: " : "", class, *class ? ")" : "");
	if (used > 0 && used < HISTORY_FORECAST_TEXT && x->cost_s > 0)
		(void)snprintf(text + used, HISTORY_FORECAST_TEXT - (size_t)used,
			       "; takes %s to make", units_format_about(x->cost_s, cost));
}
