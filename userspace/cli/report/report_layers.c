/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report/report_layers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

#define FIELD_LAST_ACCESS 14
#define CHAIN_MAX 1000 /* records in a chain; the agent allows fewer */

void report_layers_free(struct report_layers *layers)
{
	hashmap_free(layers->by_id);
	hashmap_free(layers->by_layer);
	free(layers->items);
	*layers = (struct report_layers){ 0 };
}

static int add(struct report_layers *l, const Varve__V1__Stats *stats, struct hashmap *records)
{
	struct report_layer *item = &l->items[l->count];
	int code;

	*item = (struct report_layer){ hashmap_find(records, stats->id), stats };
	if (!item->record)
		return 0; /* it was made, or is gone, between the two answers */
	code = hashmap_insert(l->by_id, item->record->id, item);
	if (code < 0)
		return code == -EEXIST ? 0 : code;
	code = hashmap_insert(l->by_layer, item->record->layer, item);
	l->count++;
	return code == -EEXIST ? 0 : code;
}

int report_layers_join(const Varve__V1__Record *const *records, size_t record_count,
		       Varve__V1__Stats *const *stats, size_t stats_count,
		       struct report_layers *ret_layers)
{
	cleanup(report_layers_free) struct report_layers l = { 0 };
	cleanup(hashmap_free) struct hashmap *by_id = hashmap_new();
	int code = 0;

	l.items = calloc(stats_count + 1, sizeof(*l.items));
	l.by_id = hashmap_new();
	l.by_layer = hashmap_new();
	if (!by_id || !l.items || !l.by_id || !l.by_layer)
		return -ENOMEM;
	for (size_t i = 0; i < record_count; i++)
		if (hashmap_insert(by_id, records[i]->id, (void *)records[i]) == -ENOMEM)
			return -ENOMEM;
	for (size_t i = 0; i < stats_count && code == 0; i++)
		code = add(&l, stats[i], by_id);
	if (code < 0)
		return code;
	*ret_layers = l;
	l = (struct report_layers){ 0 };
	return 0;
}

/* ---- adding up ---- */

int report_layers_propose(struct report_facts *f, const char *what, const char *command,
			  int64_t bytes)
{
	struct report_change *changes;

	for (size_t i = 0; i < f->change_count; i++) {
		if (strcmp(f->changes[i].what, what) == 0) {
			f->changes[i].bytes += bytes;
			return 0;
		}
	}
	changes =
		vec_reserve(f->changes, &f->change_capacity, f->change_count + 1, sizeof(*changes));
	if (!changes)
		return -ENOMEM;
	f->changes = changes;
	changes[f->change_count] =
		(struct report_change){ strdup(what), command ? strdup(command) : NULL, bytes };
	if (!changes[f->change_count].what || (command && !changes[f->change_count].command))
		return -ENOMEM;
	f->change_count++;
	return 0;
}

/* What would let go of a layer that is not read. Each layer is in one proposal. */
static int propose_for(struct report_facts *f, const Varve__V1__Record *r, bool never,
		       int64_t bytes)
{
	char what[512], command[512];

	if (r->pinned) {
		(void)snprintf(what, sizeof(what), "unpin records that are not read");
		(void)snprintf(command, sizeof(command),
			       "varve ls --filter pinned==true --sort size");
	} else if (r->n_holds > 0) {
		(void)snprintf(what, sizeof(what),
			       "let the lease %.200s release records that are not read",
			       r->holds[0]->lease);
		(void)snprintf(command, sizeof(command), "varve release --lease %.200s ID",
			       r->holds[0]->lease);
	} else if (r->snapshot_kind[0]) {
		(void)snprintf(what, sizeof(what), "remove images that are not read");
		(void)snprintf(command, sizeof(command),
			       "varve images prune --unread-for 30d --dry-run");
	} else if (r->in_use) {
		return 0; /* it is mounted, or something on top of it is held */
	} else if (never) {
		(void)snprintf(what, sizeof(what), "evict records that were never read");
		(void)snprintf(command, sizeof(command),
			       "varve prune --filter 'lastread~=/^$/' --dry-run");
	} else {
		(void)snprintf(what, sizeof(what), "evict records that were not used for 30 days");
		(void)snprintf(command, sizeof(command),
			       "varve prune --keep-duration 30d --dry-run");
	}
	return report_layers_propose(f, what, command, bytes);
}

static void add_amount(struct report_amount *a, int64_t bytes)
{
	a->layers++;
	a->bytes += bytes > 0 ? bytes : 0;
}

static bool is_counted(const Varve__V1__Stats *s)
{
	return !(s->unseen & (UINT32_C(1) << FIELD_LAST_ACCESS));
}

static int count_layer(struct report_facts *f, const struct report_layer *l)
{
	const Varve__V1__Stats *s = l->stats;
	int64_t before_ns = f->now_ns - f->older_than_ns;
	bool never = s->last_access_ns == 0;

	add_amount(&f->all, s->size);
	if (s->size < 0 && !l->record->lazy) /* a lazy layer has no files to measure */
		add_amount(&f->unmeasured, 0);
	if (l->record->mutable_ || l->record->lazy || l->record->created_ns > before_ns)
		return 0;
	if (!never && s->last_access_ns > f->now_ns - REPORT_COLD_NS)
		return 0;
	if (never && (!is_counted(s) || s->files_complete_since_ns != 0)) {
		add_amount(&f->incomplete, s->size);
		return 0;
	}
	add_amount(never ? &f->never_read : &f->cold, s->size);
	return propose_for(f, l->record, never, s->size > 0 ? s->size : 0);
}

int report_layers_count(const struct report_layers *layers, struct report_facts *f)
{
	for (size_t i = 0; i < layers->count; i++) {
		const struct report_layer *l = &layers->items[i];
		int code = 0;

		/* Other records with the same layer do not count again. */
		if (hashmap_find(layers->by_layer, l->record->layer) == l)
			code = count_layer(f, l);
		if (code < 0)
			return code;
	}
	return 0;
}

bool report_layers_image(const struct report_layers *layers, const char *top, uint64_t *ret_files,
			 int64_t *ret_bytes)
{
	const struct report_layer *l = hashmap_find(layers->by_id, top);
	uint64_t files = 0;
	int64_t bytes = 0;

	for (size_t depth = 0; l && depth < CHAIN_MAX; depth++) {
		const Varve__V1__Record *r = l->record;

		if (!is_counted(l->stats) || l->stats->files_complete_since_ns)
			return false;
		files += l->stats->files_touched;
		bytes += l->stats->size > 0 ? l->stats->size : 0;
		if (r->n_parents == 0) {
			*ret_files = files;
			*ret_bytes = bytes;
			return true;
		}
		l = hashmap_find(layers->by_id, r->parents[0]);
	}
	return false;
}
