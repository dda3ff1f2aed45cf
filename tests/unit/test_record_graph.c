/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of records and the refs of leases, without any files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/record_graph.h"
#include "graph/record_refs.h"

static struct record *add(struct record_graph *g, const char *id, struct record *parent)
{
	char layer[LAYER_NAME_LENGTH + 1];
	struct record *r = record_new(id, "", "regular");

	(void)snprintf(layer, sizeof(layer), "%.6s", id + RECORD_ID_LENGTH - 6);
	r->state = RECORD_LIVE;
	assert_int_equal(record_graph_insert(g, r, parent, record_graph_add_layer(g, layer)), 0);
	return r;
}

static void a_unique_prefix_of_an_id_finds_its_record(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct record *a = add(g, "aaaaaaaaaaaaaaaaaaa000001", NULL), *found = NULL;
	struct error e = { 0 };

	(void)unused;
	add(g, "aaaabbbbbbbbbbbbbbb000002", NULL);
	assert_int_equal(record_graph_resolve(g, a->id, &found, &e), 0);
	assert_ptr_equal(found, a);
	assert_int_equal(record_graph_resolve(g, "aaaaa", &found, &e), 0);
	assert_int_equal(record_graph_resolve(g, "aaaa", &found, &e), -EINVAL);
	assert_int_equal(record_graph_resolve(g, "aaa", &found, &e), -ENOENT);
	assert_int_equal(record_graph_resolve(g, "bbbb", &found, &e), -ENOENT);
	a->state = RECORD_CREATING;
	assert_int_equal(record_graph_resolve(g, a->id, &found, &e), -ENOENT);
	record_graph_free(g);
}

static void a_layer_stays_until_its_last_owner_is_removed(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct record *a = add(g, "aaaaaaaaaaaaaaaaaaa000001", NULL);
	struct record *twin = record_new("bbbbbbbbbbbbbbbbbbb000009", "", "regular");

	(void)unused;
	assert_int_equal(record_graph_insert(g, twin, NULL, a->layer), 0);
	record_graph_pair(twin, a);
	assert_int_equal(a->layer->owners, 2);
	record_graph_remove(g, a);
	assert_null(twin->twin);
	assert_int_equal(record_graph_layer_count(g), 1);
	record_graph_remove(g, twin);
	assert_int_equal(record_graph_layer_count(g), 0);
	record_graph_free(g);
}

/* B51: held records and their ancestors are in use. */
static void a_held_record_marks_its_ancestors_as_in_use(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct record *a = add(g, "aaaaaaaaaaaaaaaaaaa000001", NULL);
	struct record *b = add(g, "bbbbbbbbbbbbbbbbbbb000002", a);
	struct record *c = add(g, "ccccccccccccccccccc000003", b);
	struct record *d = add(g, "ddddddddddddddddddd000004", a);
	struct lease *l = lease_new("l", 1, 0, 0);

	(void)unused;
	assert_int_equal(record_graph_depth(c), 3);
	assert_int_equal(record_refs_add(b, l, 1, 1), 0);
	record_refs_mark_in_use(g);
	assert_true(a->marked && b->marked && !c->marked && !d->marked);
	record_refs_clear(b);
	record_refs_mark_in_use(g);
	assert_false(a->marked || b->marked || c->marked || d->marked);
	lease_free(l);
	record_graph_free(g);
}

static void one_pass_marks_the_same_as_two(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct hashmap *leases = hashmap_new();
	struct record *a = add(g, "aaaaaaaaaaaaaaaaaaa000001", NULL);
	struct record *b = add(g, "bbbbbbbbbbbbbbbbbbb000002", a);
	struct record *c = add(g, "ccccccccccccccccccc000003", b);
	struct record *d = add(g, "ddddddddddddddddddd000004", NULL);
	struct lease *l = lease_new("l", 1, 0, 0);
	char *references[] = { d->id };

	(void)unused;
	assert_int_equal(hashmap_insert(leases, l->name, l), 0);
	assert_int_equal(record_refs_add(b, l, 1, 1), 0);
	l->references = references;
	l->reference_count = 1;
	c->marked = a->shared = true; /* of an earlier pass */
	assert_int_equal(record_refs_mark(g, leases), 0);
	assert_true(a->marked && b->marked && !c->marked && !d->marked);
	assert_true(d->shared && !a->shared && !b->shared && !c->shared);
	l->references = NULL;
	l->reference_count = 0;
	record_refs_clear(b);
	hashmap_free(leases);
	lease_free(l);
	record_graph_free(g);
}

/* B20: dropping the last ref that counts is a use. */
static void the_last_ref_that_counts_is_reported_as_a_use(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct record *a = add(g, "aaaaaaaaaaaaaaaaaaa000001", NULL);
	struct lease *one = lease_new("one", 1, 0, 0), *two = lease_new("two", 1, 0, 0);

	(void)unused;
	assert_int_equal(record_refs_add(a, one, 1, 1), 0);
	assert_int_equal(record_refs_add(a, one, 1, 0), 0);
	assert_int_equal(record_refs_add(a, two, 1, 1), 0);
	assert_int_equal(a->refs, 3);
	assert_int_equal(record_refs_drop(a, one), 0);
	assert_int_equal(record_refs_drop(a, two), 1);
	assert_int_equal(record_refs_drop(a, two), -ENOENT);
	assert_int_equal(record_refs_drop(a, one), 0);
	assert_int_equal(a->refs, 0);
	assert_null(a->holds);
	assert_null(one->holds);
	lease_free(one);
	lease_free(two);
	record_graph_free(g);
}

/* B50: the immutable twin is listed while it is held, else the mutable one. */
static void one_of_two_twins_is_listed(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct record *m = add(g, "aaaaaaaaaaaaaaaaaaa000001", NULL);
	struct record *i = add(g, "bbbbbbbbbbbbbbbbbbb000002", NULL);
	struct lease *l = lease_new("l", 1, 0, 0);

	(void)unused;
	m->is_mutable = true;
	record_graph_pair(i, m);
	assert_true(record_is_listed(m) && !record_is_listed(i));
	assert_int_equal(record_refs_add(i, l, 1, 1), 0);
	assert_true(record_is_listed(i) && !record_is_listed(m));
	assert_true(record_is_held(m));
	record_refs_clear(i);
	lease_free(l);
	record_graph_free(g);
}

/* The content of the chain with this number. */
static struct record_content *chain_content(int number)
{
	struct record_content content = { .size_bytes = number };

	(void)snprintf(content.chain_id.text, sizeof(content.chain_id.text), "sha256:%064x",
		       number);
	return record_content_copy(&content);
}

static int count_chain(const struct record_graph *g, int number)
{
	cleanup(record_content_free) struct record_content *wanted = chain_content(number);
	const struct record *r = chain_index_first(record_graph_chains(g), &wanted->chain_id);
	int count = 0;

	for (; r; r = chain_index_next(r)) {
		assert_string_equal(r->content->chain_id.text, wanted->chain_id.text);
		count++;
	}
	return count;
}

/* Two records for each of 500 chains, and one without content. */
static void records_of_a_chain_are_found_while_they_have_it(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct record *records[1000];
	char id[RECORD_ID_LENGTH + 1];

	(void)unused;
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "aaaaaaaaaaaaaaaaaaa%06d", i);
		records[i] = record_new(id, "", "regular");
		records[i]->content = chain_content(i / 2);
		assert_int_equal(record_graph_insert(g, records[i], NULL,
						     record_graph_add_layer(g, id + 19)),
				 0);
	}
	add(g, "aaaaaaaaaaaaaaaaaaa001000", NULL);
	for (int i = 0; i < 500; i++)
		assert_int_equal(count_chain(g, i), 2);
	assert_int_equal(count_chain(g, 500), 0);
	/* Another chain, the same chain again, none at all. */
	record_graph_set_content(g, records[0], chain_content(7));
	record_graph_set_content(g, records[20], chain_content(10));
	record_graph_set_content(g, records[40], NULL);
	assert_int_equal(count_chain(g, 0), 1);
	assert_int_equal(count_chain(g, 7), 3);
	assert_int_equal(count_chain(g, 10), 2);
	assert_int_equal(count_chain(g, 20), 1);
	for (int i = 0; i < 1000; i += 3)
		record_graph_remove(g, records[i]);
	for (int i = 21; i < 500; i++)
		assert_int_equal(count_chain(g, i), (2 * i % 3 != 0) + ((2 * i + 1) % 3 != 0));
	record_graph_free(g);
}

/* As a start does, which knows how many there are. */
static void
records_that_are_linked_later_are_as_those_that_were_inserted_with_a_parent(void **unused)
{
	struct record_graph *g = record_graph_new();
	struct record *child = add(g, "aaaaaaaaaaaaaaaaaaa000001", NULL), *parent, *other;

	(void)unused;
	record_graph_set_content(g, child, chain_content(1));
	assert_int_equal(record_graph_reserve(g, 500, 500, 500), 0);
	parent = add(g, "aaaaaaaaaaaaaaaaaaa000002", NULL);
	record_graph_set_content(g, parent, chain_content(1));
	other = add(g, "aaaaaaaaaaaaaaaaaaa000003", parent);
	record_graph_set_parent(child, parent);
	assert_int_equal(count_chain(g, 1), 2);
	assert_int_equal(record_graph_depth(child), 2);
	assert_ptr_equal(parent->first_child, child);
	assert_ptr_equal(child->next_sibling, other);
	assert_ptr_equal(record_graph_find(g, child->id), child);
	record_graph_remove(g, child);
	assert_ptr_equal(parent->first_child, other);
	record_graph_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_unique_prefix_of_an_id_finds_its_record),
		cmocka_unit_test(a_layer_stays_until_its_last_owner_is_removed),
		cmocka_unit_test(a_held_record_marks_its_ancestors_as_in_use),
		cmocka_unit_test(one_pass_marks_the_same_as_two),
		cmocka_unit_test(the_last_ref_that_counts_is_reported_as_a_use),
		cmocka_unit_test(one_of_two_twins_is_listed),
		cmocka_unit_test(records_of_a_chain_are_found_while_they_have_it),
		cmocka_unit_test(
			records_that_are_linked_later_are_as_those_that_were_inserted_with_a_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
