/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/records/record_readers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/vec.h"
#include "manager/mounts/file_fold.h"
#include "manager/records/record_select.h"
#include "store/reader_rows.h"

struct readers {
	struct record_reader_view *items;
	size_t count, capacity;
};

static void readers_free(struct readers *r)
{
	record_readers_free(r->items, r->count);
}
DEFINE_CLEANUP_VALUE(struct readers, readers_free)

void record_readers_free(struct record_reader_view *readers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(readers[i].reader);
	free(readers);
}

static int add_reader(const struct reader_row *row, void *user)
{
	struct readers *all = user;
	struct record_reader_view *items =
		vec_reserve(all->items, &all->capacity, all->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	all->items = items;
	items[all->count] = (struct record_reader_view){ .reader = strdup(row->reader),
							 .upkeep = row->upkeep,
							 .layers = row->reader[0] ? row->layers : 0,
							 .opens = row->opens,
							 .reads = row->reads,
							 .read_bytes = row->read_bytes,
							 .first_ns = row->first_ns,
							 .last_ns = row->last_ns };
	return items[all->count].reader ? (all->count++, 0) : -ENOMEM;
}

static void add_to(struct record_reader_view *to, struct record_reader_view *from)
{
	to->layers += from->layers;
	to->opens += from->opens;
	to->reads += from->reads;
	to->read_bytes += from->read_bytes;
	if (from->first_ns < to->first_ns)
		to->first_ns = from->first_ns;
	if (from->last_ns > to->last_ns)
		to->last_ns = from->last_ns;
	free(from->reader);
}

static int by_reader(const void *a, const void *b)
{
	const struct record_reader_view *x = a, *y = b;
	int order = strcmp(x->reader, y->reader);

	return order ? order : x->upkeep - y->upkeep;
}

static int by_bytes(const void *a, const void *b)
{
	const struct record_reader_view *x = a, *y = b;

	if (!x->reader[0] != !y->reader[0])
		return !x->reader[0] - !y->reader[0];
	if (x->read_bytes != y->read_bytes)
		return x->read_bytes < y->read_bytes ? 1 : -1;
	return by_reader(a, b);
}

/* One of those that are equal. */
static void merge(struct readers *all, int (*compare)(const void *a, const void *b))
{
	size_t kept = 0;

	if (all->count == 0)
		return;
	qsort(all->items, all->count, sizeof(*all->items), compare);
	for (size_t i = 1; i < all->count; i++) {
		if (by_reader(&all->items[kept], &all->items[i]) == 0)
			add_to(&all->items[kept], &all->items[i]);
		else
			all->items[++kept] = all->items[i];
	}
	all->count = kept + 1;
}

/* Those beyond the bound are among the others from now on. */
static void cut(struct readers *all)
{
	for (size_t i = RECORD_READERS_MAX; i < all->count; i++) {
		all->items[i].reader[0] = '\0';
		all->items[i].layers = 0;
	}
	if (all->count > RECORD_READERS_MAX)
		merge(all, by_reader);
	if (all->count)
		qsort(all->items, all->count, sizeof(*all->items), by_bytes);
}

static int load_layer(struct manager *m, const char *layer, struct readers *all, struct error *e)
{
	sqlite3 *db = database_lock_reader(m->database);
	int code = reader_rows_load(db, layer, add_reader, all, e);

	database_unlock_reader(m->database);
	return code;
}

/* A copy of the names: the lock is not held while they are looked up in the database. */
static int find_layers(struct manager *m, const struct record_choice *choices, size_t count,
		       char (**ret_layers)[LAYER_NAME_LENGTH + 1], size_t *ret_count,
		       struct error *e)
{
	char(*layers)[LAYER_NAME_LENGTH + 1] = calloc(count + 1, sizeof(*layers));
	size_t found = 0;

	if (!layers)
		return error_set(e, -ENOMEM, "out of memory");
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	for (size_t i = 0; i < count; i++) {
		const struct record *r = record_graph_find(locked->graph, choices[i].id);

		if (!r || r->state != RECORD_LIVE) {
			free(layers);
			return record_select_refuse_gone(&choices[i], e);
		}
		memcpy(layers[found++], r->layer->name, sizeof(*layers));
	}
	*ret_layers = layers;
	*ret_count = found;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int load_chosen(struct manager *m, const struct record_selection *selection,
		       struct readers *all, struct error *e)
{
	cleanup(free_ptr) struct record_choice *choices = NULL;
	char(*layers)[LAYER_NAME_LENGTH + 1] = NULL;
	size_t chosen = 0, count = 0;
	int code = record_select(m, selection, &choices, &chosen, e);

	if (code == 0)
		code = find_layers(m, choices, chosen, &layers, &count, e);
	if (code < 0)
		return code;
	cleanup(free_ptr) void *owned = layers;
	qsort(layers, count, sizeof(*layers), by_name);
	for (size_t i = 0; i < count && code == 0; i++)
		if (i == 0 || strcmp(layers[i - 1], layers[i]) != 0) /* twins share one */
			code = load_layer(m, layers[i], all, e);
	return code;
}

int record_readers(struct manager *m, const char *const *ids, size_t id_count,
		   const atomic_bool *cancelled, struct record_reader_view **ret_readers,
		   size_t *ret_count, struct error *e)
{
	const struct record_selection selection = { .ids = ids,
						    .id_count = id_count,
						    .included = record_is_listed,
						    .cancelled = cancelled };
	cleanup(readers_free) struct readers all = { 0 };
	struct error late = { 0 };
	int code;

	if (file_fold_for_call(m, cancelled, &late) < 0) /* a full disk: the numbers are too low */
		manager_report(m, true, "%s; it will be tried again", late.text);
	code = id_count ? load_chosen(m, &selection, &all, e) : load_layer(m, NULL, &all, e);
	if (code == 0)
		code = cancellation_check(cancelled, e);
	if (code < 0)
		return code;
	merge(&all, by_reader);
	if (all.count)
		qsort(all.items, all.count, sizeof(*all.items), by_bytes);
	cut(&all);
	*ret_count = all.count;
	*ret_readers = take_ptr(all.items);
	all.count = 0;
	return 0;
}
