/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/records/record_select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "manager/state/manager_limits.h"

static int by_creation(const void *a, const void *b)
{
	const struct record *x = *(struct record *const *)a, *y = *(struct record *const *)b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

static size_t select_all(const struct manager *m, bool (*included)(const struct record *r),
			 struct record **records)
{
	size_t count = 0, position = 0;
	struct record *r;

	while ((r = record_graph_next(m->graph, &position)))
		if (included(r))
			records[count++] = r;
	qsort(records, count, sizeof(struct record *), by_creation);
	return count;
}

static int select_named(const struct manager *m, const char *const *ids, size_t id_count,
			struct record **records, size_t *ret_count, struct error *e)
{
	cleanup(hashmap_free) struct hashmap *named = hashmap_new();
	size_t count = 0, abbreviated = 0;

	if (!named)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < id_count; i++) {
		struct record *r;
		int code;

		if (hashmap_find(named, ids[i]))
			continue;
		if (strlen(ids[i]) < RECORD_ID_LENGTH &&
		    ++abbreviated > MANAGER_ABBREVIATED_IDS_MAX)
			return error_set(e, -E2BIG,
					 "more than %d abbreviated ids: give ids of %d characters",
					 MANAGER_ABBREVIATED_IDS_MAX, RECORD_ID_LENGTH);
		code = record_graph_resolve(m->graph, ids[i], &r, e);
		if (code < 0)
			return code;
		code = hashmap_insert(named, r->id, r);
		if (code == 0)
			records[count++] = r;
		else if (code != -EEXIST)
			return error_set(e, code, "out of memory");
	}
	*ret_count = count;
	return 0;
}

int record_select(struct manager *m, const char *const *ids, size_t id_count,
		  bool (*included)(const struct record *r), struct record ***ret_records,
		  size_t *ret_count, struct error *e)
{
	cleanup(free_ptr) struct record **records =
		calloc(record_graph_count(m->graph) + 1, sizeof(struct record *));
	size_t count = 0;
	int code = 0;

	manager_assert_locked(m);
	if (!records)
		return error_set(e, -ENOMEM, "out of memory");
	if (id_count > 0)
		code = select_named(m, ids, id_count, records, &count, e);
	else
		count = select_all(m, included, records);
	if (code < 0)
		return code;
	*ret_records = take_ptr(records);
	*ret_count = count;
	return 0;
}
