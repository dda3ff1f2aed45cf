/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/recent_reads.h"

#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "graph/record.h"

/* Folds that follow each other faster are of one window: a rate over a millisecond means little. */
#define WINDOW_MIN_NS (NS_PER_S * 9 / 10)

struct entry {
	char layer[LAYER_NAME_LENGTH + 1];
	uint64_t window; /* of `opens` and `bytes` */
	uint64_t opens, bytes, opens_before,
		bytes_before; /* in that window, and in the one before */
	int64_t slot; /* the newest one that has something */
	uint32_t kib[RECENT_READS_SLOTS]; /* slot n is at n % RECENT_READS_SLOTS */
};

struct recent_reads {
	struct hashmap *layers; /* struct entry */
	struct entry all;
	uint64_t window; /* the number of the open one */
	int64_t opened_ns;
	double seconds; /* how long the last window was; 0: there was none */
	int64_t swept_slot;
};

struct recent_reads *recent_reads_new(int64_t now_ns)
{
	struct recent_reads *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->layers = hashmap_new_of(offsetof(struct entry, layer));
	t->window = 1;
	t->opened_ns = now_ns;
	t->swept_slot = now_ns / RECENT_READS_SLOT_NS;
	if (!t->layers) {
		free(t);
		return NULL;
	}
	return t;
}

void recent_reads_free(struct recent_reads *t)
{
	struct entry *e;

	if (!t)
		return;
	for (size_t at = 0; (e = hashmap_next(t->layers, &at));)
		free(e);
	hashmap_free(t->layers);
	free(t);
}

size_t recent_reads_count(const struct recent_reads *t)
{
	return hashmap_count(t->layers);
}

/* Slots between the newest one that has something and this one have nothing. */
static void move_to_slot(struct entry *e, int64_t slot)
{
	int64_t from = e->slot + 1;

	if (slot - from >= RECENT_READS_SLOTS)
		from = slot - RECENT_READS_SLOTS + 1;
	for (; from <= slot; from++)
		e->kib[from % RECENT_READS_SLOTS] = 0;
	if (slot > e->slot)
		e->slot = slot;
}

static void add(struct entry *e, uint64_t window, uint64_t opens, uint64_t bytes, int64_t now_ns)
{
	uint32_t *kib;
	uint64_t sum;

	if (e->window != window) {
		e->opens_before = e->window + 1 == window ? e->opens : 0;
		e->bytes_before = e->window + 1 == window ? e->bytes : 0;
		e->opens = e->bytes = 0;
		e->window = window;
	}
	e->opens += opens;
	e->bytes += bytes;
	move_to_slot(e, now_ns / RECENT_READS_SLOT_NS);
	kib = &e->kib[e->slot % RECENT_READS_SLOTS];
	sum = *kib + (bytes + 1023) / 1024 + (opens > 0 && bytes == 0); /* a mapping is no 0 */
	*kib = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

static struct entry *find_or_make(struct recent_reads *t, const char *layer, int64_t now_ns)
{
	struct entry *e = hashmap_find(t->layers, layer);

	if (e || hashmap_count(t->layers) >= RECENT_READS_LAYERS)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	(void)strncpy(e->layer, layer, sizeof(e->layer) - 1);
	e->slot = now_ns / RECENT_READS_SLOT_NS;
	if (hashmap_insert(t->layers, e->layer, e) < 0) {
		free(e);
		return NULL;
	}
	return e;
}

void recent_reads_add(struct recent_reads *t, const char *layer, uint64_t opens, uint64_t bytes,
		      int64_t now_ns)
{
	struct entry *e;

	if (!opens && !bytes)
		return;
	add(&t->all, t->window, opens, bytes, now_ns);
	e = find_or_make(t, layer, now_ns);
	if (e)
		add(e, t->window, opens, bytes, now_ns);
}

/* Drops the entries that have nothing in any slot. Once a slot. */
static void sweep(struct recent_reads *t, int64_t slot)
{
	cleanup(free_ptr) struct entry **old = calloc(hashmap_count(t->layers) + 1, sizeof(*old));
	size_t count = 0;
	struct entry *e;

	for (size_t at = 0; old && (e = hashmap_next(t->layers, &at));)
		if (slot - e->slot >= RECENT_READS_SLOTS)
			old[count++] = e;
	for (size_t i = 0; i < count; i++) {
		(void)hashmap_remove(t->layers, old[i]->layer);
		free(old[i]);
	}
	t->swept_slot = slot;
}

void recent_reads_close_window(struct recent_reads *t, int64_t now_ns)
{
	int64_t slot = now_ns / RECENT_READS_SLOT_NS;

	if (slot != t->swept_slot)
		sweep(t, slot);
	if (now_ns - t->opened_ns < WINDOW_MIN_NS)
		return;
	t->seconds = (double)(now_ns - t->opened_ns) / (double)NS_PER_S;
	t->opened_ns = now_ns;
	t->window++;
}

static void show(const struct recent_reads *t, const struct entry *e, int64_t now_ns,
		 struct recent_read *ret_read)
{
	int64_t slot = now_ns / RECENT_READS_SLOT_NS - RECENT_READS_SLOTS + 1;
	uint64_t opens = 0, bytes = 0;

	*ret_read = (struct recent_read){ 0 };
	if (e->window == t->window) {
		opens = e->opens_before;
		bytes = e->bytes_before;
	} else if (e->window + 1 == t->window) {
		opens = e->opens;
		bytes = e->bytes;
	}
	if (t->seconds > 0) {
		ret_read->opens_per_s = (double)opens / t->seconds;
		ret_read->bytes_per_s = (double)bytes / t->seconds;
	}
	for (int i = 0; i < RECENT_READS_SLOTS; i++, slot++)
		if (slot >= 0 && slot <= e->slot && slot > e->slot - RECENT_READS_SLOTS)
			ret_read->kib[i] = e->kib[slot % RECENT_READS_SLOTS];
}

bool recent_reads_find(const struct recent_reads *t, const char *layer, int64_t now_ns,
		       struct recent_read *ret_read)
{
	const struct entry *e = hashmap_find(t->layers, layer);

	if (!e) {
		*ret_read = (struct recent_read){ 0 };
		return false;
	}
	show(t, e, now_ns, ret_read);
	return true;
}

void recent_reads_all(const struct recent_reads *t, int64_t now_ns, struct recent_read *ret_read)
{
	show(t, &t->all, now_ns, ret_read);
}
