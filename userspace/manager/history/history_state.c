/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history_state.h"

#include <stddef.h>
#include <stdio.h>

struct past *history_state_find(const struct manager *m, const char *layer)
{
	return m->history ? hashmap_find(m->history->pasts, layer) : NULL;
}

static struct past *past_of(struct forecast_past *past)
{
	return (struct past *)((char *)past - offsetof(struct past, past));
}

struct past *history_state_below(const struct past *p)
{
	return p->past.parent ? past_of(p->past.parent) : NULL;
}

static void unlink_below(struct past *p)
{
	struct past *below = history_state_below(p);

	if (below)
		below->above--;
	p->past.parent = NULL;
}

void history_state_link(struct history *h, struct past *p)
{
	struct past *below = *p->below ? hashmap_find(h->pasts, p->below) : NULL;

	unlink_below(p);
	if (!below || below == p)
		return;
	p->past.parent = &below->past;
	below->above++;
}

void history_state_remove(struct history *h, struct past *p)
{
	struct past *other;
	size_t at = 0;

	/* Layers go before what they lie on, unless the history contradicts the graph. */
	while (p->above > 0 && (other = hashmap_next(h->pasts, &at)))
		if (other->past.parent == &p->past)
			unlink_below(other);
	unlink_below(p);
	(void)hashmap_remove(h->pasts, p->layer);
	free(p);
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
