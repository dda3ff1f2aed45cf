/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history_state.h"

#include <stdio.h>

struct past *history_state_find(const struct manager *m, const char *layer)
{
	return m->history ? hashmap_find(m->history->pasts, layer) : NULL;
}

struct past *history_state_below(const struct manager *m, const struct past *p)
{
	return *p->below ? history_state_find(m, p->below) : NULL;
}

struct forecast_past *history_state_past_below(const struct manager *m, const struct past *p)
{
	struct past *below = history_state_below(m, p);

	return below ? &below->past : NULL;
}

struct past *history_state_add(struct history *h, const char *layer)
{
	struct past *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	(void)snprintf(p->layer, sizeof(p->layer), "%s", layer);
	if (hashmap_insert(h->pasts, p->layer, p) == 0)
		return p;
	free(p);
	return NULL;
}

struct departed *history_state_depart(struct history *h, const char *identity)
{
	struct departed *d = hashmap_find(h->departed, identity);

	if (d)
		return d;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	(void)snprintf(d->identity, sizeof(d->identity), "%s", identity);
	if (hashmap_insert(h->departed, d->identity, d) == 0)
		return d;
	free(d);
	return NULL;
}

void history_state_free(struct history *h)
{
	size_t at = 0;
	void *value;

	if (!h)
		return;
	while (h->pasts && (value = hashmap_next(h->pasts, &at)))
		free(value);
	at = 0;
	while (h->departed && (value = hashmap_next(h->departed, &at)))
		free(value);
	hashmap_free(h->pasts);
	hashmap_free(h->departed);
	free(h->events);
	free(h);
}
