/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hashmap.h"
#include "cli/cli_records.h"
#include "cli/commands.h"

struct node {
	const Varve__V1__Record *record;
	struct node *parent, *first_child, *last_child, *next_sibling;
	struct output_row *row;
};

static void append_child(struct node *parent, struct node *child)
{
	child->parent = parent;
	if (parent->last_child)
		parent->last_child->next_sibling = child;
	else
		parent->first_child = child;
	parent->last_child = child;
}

/* Links each node below its record's first parent, or below `top` when there is none. */
static int link_nodes(const struct cli_records *records, struct node *top, struct node *nodes)
{
	cleanup(hashmap_free) struct hashmap *by_id = hashmap_new();

	if (!by_id)
		return -ENOMEM;
	for (size_t i = 0; i < records->count; i++) {
		int code;

		nodes[i].record = records->items[i];
		code = hashmap_insert(by_id, nodes[i].record->id, &nodes[i]);
		if (code < 0)
			return code;
	}
	for (size_t i = 0; i < records->count; i++) {
		const Varve__V1__Record *record = nodes[i].record;
		struct node *parent = NULL;

		if (record->n_parents > 0)
			parent = hashmap_find(by_id, record->parents[0]);
		append_child(parent ? parent : top, &nodes[i]);
	}
	return 0;
}

/* Parents first, without recursion: a chain may be hundreds of records deep. */
static struct node *next_node(struct node *node, const struct node *root)
{
	if (node->first_child)
		return node->first_child;
	while (node != root && !node->next_sibling)
		node = node->parent;
	return node == root ? NULL : node->next_sibling;
}

/* The records below the root, and the root unless it is `top`; parents come first. */
static int sort_tree(const struct cli_records *records, struct node *root,
		     struct cli_records *ret_sorted, struct node ***ret_nodes, struct error *e)
{
	cleanup(free_ptr) struct node **nodes = calloc(records->count + 1, sizeof(*nodes));
	cleanup(cli_records_free) struct cli_records sorted = { 0 };
	struct node *node = root->record ? root : next_node(root, root);

	sorted.items = calloc(records->count + 1, sizeof(*sorted.items));
	if (!nodes || !sorted.items)
		return error_set(e, -ENOMEM, "out of memory for the tree");
	for (; node; node = next_node(node, root)) {
		nodes[sorted.count] = node;
		sorted.items[sorted.count++] = node->record;
	}
	*ret_nodes = take_ptr(nodes);
	*ret_sorted = sorted;
	sorted = (struct cli_records){ 0 };
	return 0;
}

/* The agent resolves the prefix of an id. */
static int find_root(struct cli *c, struct node *nodes, size_t count, struct node **ret_root,
		     struct error *e)
{
	cleanup(cli_records_free) struct cli_records found = { 0 };
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	int code;

	request.ids = c->line.words;
	request.n_ids = 1;
	code = cli_records_fetch(c, &request, &found, e);
	if (code < 0)
		return code;
	for (size_t i = 0; found.count > 0 && i < count; i++) {
		if (strcmp(nodes[i].record->id, found.items[0]->id) == 0) {
			*ret_root = &nodes[i];
			return 0;
		}
	}
	return error_set(e, -ENOENT, "record '%s' is not in the list", c->line.words[0]);
}

static int print_table(struct cli *c, const struct cli_records *records, struct node **nodes,
		       struct error *e)
{
	cleanup(output_table_free) struct output_table *table =
		output_table_new(&c->out, cli_records_columns, "ID,KIND,SIZE,USES,DESCRIPTION");

	if (!table)
		return error_set(e, -ENOMEM, "out of memory for the table");
	for (size_t i = 0; i < records->count; i++) {
		nodes[i]->row = output_table_row(table, nodes[i]->parent->row);
		cli_records_cells(table, records->items[i], false);
	}
	output_table_print(table);
	return 0;
}

static int run(struct cli *c, struct error *e)
{
	cleanup(cli_records_free) struct cli_records records = { 0 }, sorted = { 0 };
	cleanup(free_ptr) struct node *nodes = NULL, **order = NULL;
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	struct node top = { 0 }, *root = &top;
	int code;

	request.ask_owners = cli_records_want_owners(c);
	code = cli_records_fetch(c, &request, &records, e);

	if (code < 0)
		return code;
	nodes = calloc(records.count + 1, sizeof(*nodes));
	if (!nodes)
		return error_set(e, -ENOMEM, "out of memory for the tree");
	code = link_nodes(&records, &top, nodes);
	if (code < 0)
		return error_set(e, code, "cannot build a tree of the agent's records: %s",
				 strerror(-code));
	if (c->line.word_count > 0) {
		code = find_root(c, nodes, records.count, &root, e);
		if (code < 0)
			return code;
	}
	code = sort_tree(&records, root, &sorted, &order, e);
	if (code < 0)
		return code;
	if (cli_records_print_plain(c, &sorted))
		return 0;
	return print_table(c, &sorted, order, e);
}

const struct cli_verb command_tree = {
	.name = "tree",
	.arguments = "[ID]",
	.summary = "show the tree of records",
	.details = "With an ID, only that record and the records on top of it.",
	.max_words = 1,
	.columns = cli_records_columns,
	.run = run,
};
