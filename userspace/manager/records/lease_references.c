/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/records/lease_references.h"

#include <errno.h>
#include <string.h>

#include "manager/state/lease_use.h"
#include "manager/state/manager_limits.h"
#include "store/lease_rows.h"

struct reference_set {
	char **items; /* sorted, each once */
	size_t count;
};

static void reference_set_free(struct reference_set *s)
{
	if (s->items)
		lease_free_references(s->items, s->count);
}
DEFINE_CLEANUP_VALUE(struct reference_set, reference_set_free)

static int check_references(const char *const *references, size_t count, struct error *e)
{
	if (count > MANAGER_REFERENCES_MAX)
		return error_set(e, -EINVAL, "a lease has at most %d external references, not %zu",
				 MANAGER_REFERENCES_MAX, count);
	for (size_t i = 0; i < count; i++)
		if (!*references[i] || strlen(references[i]) > MANAGER_LABEL_TEXT_MAX)
			return error_set(e, -EINVAL,
					 "an external reference is an id or a chain id of 1 to %d "
					 "bytes",
					 MANAGER_LABEL_TEXT_MAX);
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_each_once(struct reference_set *s)
{
	size_t kept = 0;

	qsort(s->items, s->count, sizeof(*s->items), compare_texts);
	for (size_t i = 0; i < s->count; i++) {
		if (kept > 0 && strcmp(s->items[kept - 1], s->items[i]) == 0)
			free(s->items[i]);
		else
			s->items[kept++] = s->items[i];
	}
	s->count = kept;
}

static int copy_references(const char *const *references, size_t count, struct reference_set *s,
			   struct error *e)
{
	s->items = calloc(count + 1, sizeof(*s->items));
	if (!s->items)
		return error_set(e, -ENOMEM, "out of memory");
	for (; s->count < count; s->count++) {
		s->items[s->count] = strdup(references[s->count]);
		if (!s->items[s->count])
			return error_set(e, -ENOMEM, "out of memory");
	}
	sort_each_once(s);
	return 0;
}

static int begin_use(struct manager *m, const struct lease_holder *holder,
		     struct lease_use *ret_use, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	return lease_use_begin(locked, holder, ret_use, e);
}

/* The lease takes the new set, and the old one takes its place. */
static void swap_references(struct manager *m, struct lease *l, struct reference_set *s)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct reference_set old = { l->references, l->reference_count };

	manager_assert_locked(locked);
	l->references = s->items;
	l->reference_count = s->count;
	*s = old;
}

int lease_references_set(struct manager *m, const struct lease_holder *holder,
			 const char *const *references, size_t count, struct error *e)
{
	cleanup(reference_set_free) struct reference_set set = { 0 };
	cleanup(change_set_free) struct change_set c = { 0 };
	int code = check_references(references, count, e);

	if (code < 0)
		return code;
	code = copy_references(references, count, &set, e);
	if (code < 0)
		return code;

	cleanup(ranked_lock_release) struct ranked_lock *one_at_a_time =
		ranked_lock_acquire(&m->references_lock);
	cleanup(lease_use_end) struct lease_use use = { 0 };
	code = begin_use(m, holder, &use, e);
	if (code < 0)
		return code;
	if (use.lease->connection == 0) {
		lease_rows_set_references(&c, use.lease->name, set.items, set.count);
		code = change_set_write(&c, m->database, DATABASE_DURABLE, e);
		if (code < 0)
			return code;
	}
	swap_references(m, use.lease, &set);
	return 0;
}
