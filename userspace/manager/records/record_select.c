/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/records/record_select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/hashmap.h"
#include "manager/state/manager_limits.h"

static int by_creation(const void *a, const void *b)
{
	const struct record_choice *x = a, *y = b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void choose(const struct record *r, struct record_choice *choice)
{
	memcpy(choice->id, r->id, sizeof(choice->id));
	choice->created_ns = r->created_ns;
}

static int choose_all(struct manager *m, const struct record_selection *s,
		      struct record_choice **ret_choices, size_t *ret_count, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record_choice *choices =
		calloc(record_graph_count(locked->graph) + 1, sizeof(*choices));
	size_t count = 0, position = 0;
	const struct record *r;

	if (!choices)
		return error_set(e, -ENOMEM, "out of memory");
	while (!is_cancelled(s->cancelled) && (r = record_graph_next(locked->graph, &position)))
		if (s->included(r))
			choose(r, &choices[count++]);
	*ret_choices = choices;
	*ret_count = count;
	return 0;
}

static int select_all(struct manager *m, const struct record_selection *s,
		      struct record_choice **ret_choices, size_t *ret_count, struct error *e)
{
	cleanup(free_ptr) struct record_choice *choices = NULL;
	size_t count = 0;
	int code = choose_all(m, s, &choices, &count, e);

	if (code < 0)
		return code;
	code = cancellation_check(s->cancelled, e);
	if (code < 0)
		return code;
	qsort(choices, count, sizeof(*choices), by_creation);
	*ret_choices = take_ptr(choices);
	*ret_count = count;
	return 0;
}

/* Each time with the lock anew: a prefix is compared with every record. */
static int resolve(struct manager *m, const char *id, struct record_choice *choice, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = record_graph_resolve(locked->graph, id, &r, e);

	if (code == 0)
		choose(r, choice);
	return code;
}

static int check_prefix(const char *id, size_t *abbreviated, struct error *e)
{
	if (strlen(id) >= RECORD_ID_LENGTH || ++*abbreviated <= MANAGER_ABBREVIATED_IDS_MAX)
		return 0;
	return error_set(e, -E2BIG, "more than %d abbreviated ids: give ids of %d characters",
			 MANAGER_ABBREVIATED_IDS_MAX, RECORD_ID_LENGTH);
}

static int select_named(struct manager *m, const struct record_selection *s,
			struct record_choice **ret_choices, size_t *ret_count, struct error *e)
{
	cleanup(hashmap_free) struct hashmap *named = hashmap_new();
	cleanup(free_ptr) struct record_choice *choices = calloc(s->id_count, sizeof(*choices));
	size_t count = 0, abbreviated = 0;

	if (!named || !choices)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < s->id_count; i++) {
		struct record_choice *choice = &choices[count];
		int code;

		if (hashmap_find(named, s->ids[i]))
			continue;
		code = cancellation_check(s->cancelled, e);
		if (code < 0)
			return code;
		code = check_prefix(s->ids[i], &abbreviated, e);
		if (code < 0)
			return code;
		code = resolve(m, s->ids[i], choice, e);
		if (code < 0)
			return code;
		code = hashmap_insert(named, choice->id, choice);
		if (code < 0 && code != -EEXIST)
			return error_set(e, code, "out of memory");
		count += code == 0;
	}
	*ret_choices = take_ptr(choices);
	*ret_count = count;
	return 0;
}

int record_select(struct manager *m, const struct record_selection *selection,
		  struct record_choice **ret_choices, size_t *ret_count, struct error *e)
{
	manager_assert_unlocked(m);
	return selection->id_count > 0 ? select_named(m, selection, ret_choices, ret_count, e)
				       : select_all(m, selection, ret_choices, ret_count, e);
}

int record_select_refuse_gone(const struct record_choice *choice, struct error *e)
{
	return error_set(e, -ENOENT, "no record '%s': it has just been removed", choice->id);
}
