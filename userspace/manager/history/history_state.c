/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history_state.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text_copy.h"
#include "base/vec.h"

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

static unsigned digit_of(char c)
{
	return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

struct digest history_state_identity(const struct past *p)
{
	struct digest d = { .text = "sha256:" };
	char *at = d.text + strlen(d.text);

	if (!p->has_identity)
		return (struct digest){ 0 };
	for (size_t i = 0; i < sizeof(p->identity); i++, at += 2) {
		at[0] = "0123456789abcdef"[p->identity[i] >> 4];
		at[1] = "0123456789abcdef"[p->identity[i] & 0xf];
	}
	return d;
}

void history_state_set_identity(struct past *p, const char *identity)
{
	struct digest d;
	const char *hex;

	p->has_identity = *identity && digest_parse(identity, &d, NULL) == 0;
	if (!p->has_identity)
		return;
	hex = digest_hex(&d);
	for (size_t i = 0; i < sizeof(p->identity); i++)
		p->identity[i] = (uint8_t)(digit_of(hex[2 * i]) << 4 | digit_of(hex[2 * i + 1]));
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

void history_state_change(struct history *h, struct past *p)
{
	void *changed;

	if (p->dirty)
		return;
	p->dirty = true;
	changed = vec_reserve(h->changed, &h->changed_capacity, h->changed_count + 1,
			      sizeof(*h->changed));
	if (!changed) {
		h->all_changed = true;
		return;
	}
	h->changed = changed;
	memcpy(h->changed[h->changed_count++], p->layer, sizeof(*h->changed));
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
	text_copy(p->layer, sizeof(p->layer), layer);
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
	free(h->changed);
	free(h);
}
