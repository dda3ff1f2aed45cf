/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output_table.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <libsmartcols/libsmartcols.h>

#include "base/clock.h"
#include "base/vec.h"
#include "base/visible_text.h"

#define BOLD "\033[1m"
#define MAX_COLUMNS 40
#define NOT_SHOWN (-1)

/* What a row is ordered by: a number, or a text. */
struct sort_key {
	struct libscols_line *line;
	int64_t number;
	char *text; /* NULL: by number */
	size_t place; /* in which the row was added */
};

struct output_table {
	struct output *out;
	struct libscols_table *table;
	struct libscols_line *line; /* the newest row */
	const struct output_column *columns;
	int shown; /* how many columns are shown */
	int places[MAX_COLUMNS]; /* positions of `columns` in the table, or NOT_SHOWN */
	struct sort_key *keys; /* of the rows, if --sort is given */
	size_t key_count, key_capacity;
	int sort; /* the column of --sort, or NOT_SHOWN */
	bool reverse, is_tree;
};

/* Names that columns had in earlier versions, for scripts that still use them. */
static const struct {
	const char *old, *name;
} renamed[] = {
	{ "OF", "SIZE" },
	{ "FIRST ACCESS", "FIRST READ" },
	{ "LAST ACCESS", "LAST READ" },
	{ "LAST ACCESSED", "LAST USED" },
};

/* "last_used" and "Last-Used" mean "LAST USED", so that the shell needs no quotes. */
static bool same_name(const char *name, const char *wanted, size_t length)
{
	if (strlen(name) != length)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = wanted[i] == '_' ? ' ' : (char)toupper((unsigned char)wanted[i]);

		if (c != name[i] && !(c == '-' && name[i] == ' '))
			return false;
	}
	return true;
}

static int find_column(const struct output_column *columns, const char *wanted, size_t length)
{
	for (int i = 0; columns[i].name; i++)
		if (same_name(columns[i].name, wanted, length))
			return i;
	for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
		if (same_name(renamed[i].old, wanted, length))
			return find_column(columns, renamed[i].name, strlen(renamed[i].name));
	return -ENOENT;
}

/* The index of the next of the comma-separated names; -ENOENT, or -ENODATA at the end. */
static int next_column(const char **list, const struct output_column *columns, size_t *ret_length)
{
	size_t length = strcspn(*list, ",");
	const char *wanted = *list;

	if (*wanted == '\0')
		return -ENODATA;
	*ret_length = length;
	*list += wanted[length] == ',' ? length + 1 : length;
	return find_column(columns, wanted, length);
}

static int refuse_column(const char *name, size_t length, const struct output_column *columns,
			 struct error *e)
{
	cleanup(strbuf_free) struct strbuf all = { 0 };

	for (size_t i = 0; columns[i].name; i++)
		strbuf_appendf(&all, "%s%s", i > 0 ? ", " : "", columns[i].name);
	return error_set(e, -EINVAL, "unknown column '%.*s' (columns: %s)", (int)length, name,
			 strbuf_failed(&all) ? "" : all.text);
}

int output_table_check(const char *wanted, const struct output_column *columns, struct error *e)
{
	bool seen[MAX_COLUMNS] = { false };
	const char *rest = wanted;
	int count = 0;

	for (;;) {
		const char *name = rest;
		size_t length;
		int column = next_column(&rest, columns, &length);

		if (column == -ENODATA && count == 0)
			return error_set(e, -EINVAL, "-o names no column");
		if (column == -ENODATA)
			return 0;
		if (column < 0)
			return refuse_column(name, length, columns, e);
		if (seen[column])
			return error_set(e, -EINVAL, "column '%.*s' is named twice", (int)length,
					 name);
		seen[column] = true;
		count++;
	}
}

int output_table_check_sort(const char *wanted, const struct output_column *columns,
			    struct error *e)
{
	const char *name = wanted[0] == '-' ? wanted + 1 : wanted, *rest = name;
	size_t length = 0;
	int column = next_column(&rest, columns, &length);

	if (column >= 0 && !*rest)
		return 0;
	return refuse_column(name, strlen(name), columns, e);
}

static int add_column(struct output_table *t, const struct output_column *column)
{
	static const int flags[] = {
		[OUTPUT_TABLE_LEFT] = 0,
		[OUTPUT_TABLE_RIGHT] = SCOLS_FL_RIGHT,
		[OUTPUT_TABLE_CUT] = SCOLS_FL_TRUNC,
		[OUTPUT_TABLE_TREE] = SCOLS_FL_TREE,
	};
	struct libscols_column *c =
		scols_table_new_column(t->table, column->name, 0, flags[column->kind]);

	if (!c)
		return -ENOMEM;
	if (t->out->color)
		return scols_cell_set_color(scols_column_get_header(c), BOLD);
	return 0;
}

/* The names are valid: output_table_check() checked -o, and the usual ones are ours. */
static int add_columns(struct output_table *t, const char *names)
{
	const struct output_column *columns = t->columns;
	size_t length;

	for (int i = 0; columns[i].name; i++) {
		assert(i < MAX_COLUMNS);
		t->places[i] = NOT_SHOWN;
	}
	for (;;) {
		int column = next_column(&names, columns, &length);

		if (column == -ENODATA)
			return 0;
		assert(column >= 0);
		if (add_column(t, &columns[column]) < 0)
			return -ENOMEM;
		t->places[column] = t->shown++;
	}
}

/* The column was checked. */
static void choose_sort(struct output_table *t)
{
	const char *name = t->out->sort;
	size_t length;

	t->sort = NOT_SHOWN;
	if (!name)
		return;
	t->reverse = name[0] == '-';
	name += t->reverse;
	t->sort = next_column(&name, t->columns, &length);
}

static int set_up(struct output_table *t, const char *usual)
{
	const struct output *o = t->out;

	choose_sort(t);
	t->table = scols_new_table();
	if (!t->table)
		return -ENOMEM;
	/* Cells are escaped already; smartcols would escape them again. */
	if (scols_table_enable_noencoding(t->table, 1) < 0 ||
	    scols_table_enable_ascii(t->table, !o->utf8) < 0 ||
	    scols_table_enable_noheadings(t->table, !o->headings) < 0 ||
	    scols_table_enable_colors(t->table, o->color) < 0)
		return -ENOMEM;
	/* Without truncation the width of the terminal does not matter. */
	if (!o->truncate && scols_table_set_termforce(t->table, SCOLS_TERMFORCE_NEVER) < 0)
		return -ENOMEM;
	return add_columns(t, o->columns ? o->columns : usual);
}

struct output_table *output_table_new(struct output *o, const struct output_column *columns,
				      const char *usual)
{
	cleanup(output_table_free) struct output_table *t = calloc(1, sizeof(*t));

	if (!t) {
		o->failed = true;
		return NULL;
	}
	t->out = o;
	t->columns = columns;
	if (set_up(t, usual) < 0) {
		o->failed = true;
		return NULL;
	}
	return take_ptr(t);
}

static void forget_keys(struct output_table *t)
{
	for (size_t i = 0; i < t->key_count; i++) {
		free(t->keys[i].text);
		scols_unref_line(t->keys[i].line);
	}
	t->key_count = 0;
}

void output_table_free(struct output_table *t)
{
	if (!t)
		return;
	scols_unref_table(t->table);
	forget_keys(t);
	free(t->keys);
	free(t);
}

static int add_key(struct output_table *t)
{
	struct sort_key *keys =
		vec_reserve(t->keys, &t->key_capacity, t->key_count + 1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	t->keys = keys;
	scols_ref_line(t->line);
	keys[t->key_count] =
		(struct sort_key){ .line = t->line, .number = INT64_MIN, .place = t->key_count };
	t->key_count++;
	return 0;
}

static struct sort_key *key_of(struct output_table *t, int column)
{
	return t->line && column == t->sort && t->key_count > 0 ? &t->keys[t->key_count - 1] : NULL;
}

static void set_number(struct output_table *t, int column, int64_t number)
{
	struct sort_key *key = key_of(t, column);

	if (key)
		key->number = number;
}

struct output_row *output_table_row(struct output_table *t, struct output_row *parent)
{
	t->line = scols_table_new_line(t->table, (struct libscols_line *)parent);
	t->is_tree |= parent != NULL;
	if (!t->line || (t->sort >= 0 && add_key(t) < 0))
		t->out->failed = true;
	return (struct output_row *)t->line;
}

/* How many bytes fit into `width` terminal columns, and how many columns these bytes take. */
static size_t fitting(const char *text, int width, int *ret_taken)
{
	mbstate_t state = { 0 };
	size_t length = 0;
	int taken = 0;

	while (text[length]) {
		wchar_t character;
		size_t size = mbrtowc(&character, text + length, MB_CUR_MAX, &state);
		int columns;

		if (size == 0 || size > MB_CUR_MAX)
			break; /* cells are valid text of the locale; this guards the loop */
		columns = wcwidth(character) > 0 ? wcwidth(character) : 0;
		if (taken + columns > width)
			break;
		taken += columns;
		length += size;
	}
	*ret_taken = taken;
	return length;
}

/* smartcols sees one row at a time and cannot know the width of a column, so cells are padded. */
static void set_fixed_cell(struct output_table *t, int column, const char *text)
{
	cleanup(strbuf_free) struct strbuf cell = { 0 };
	const struct output_column *c = &t->columns[column];
	bool right = c->kind == OUTPUT_TABLE_RIGHT;
	int taken;
	size_t length = fitting(text, c->width, &taken);

	if (text[length] && (right || !t->out->truncate)) {
		strbuf_append(&cell, text); /* numbers are never cut */
	} else if (text[length]) {
		length = fitting(text, c->width - 1, &taken);
		strbuf_append_bytes(&cell, text, length);
		strbuf_appendf(&cell, "%s%*s", t->out->utf8 ? "\xe2\x80\xa6" : "+",
			       c->width - 1 - taken, "");
	} else {
		strbuf_appendf(&cell, "%*s%s%*s", right ? c->width - taken : 0, "", text,
			       right ? 0 : c->width - taken, "");
	}
	if (strbuf_failed(&cell) ||
	    scols_line_set_data(t->line, (size_t)t->places[column], cell.text) < 0)
		t->out->failed = true;
}

static void set_cell(struct output_table *t, int column, const char *text)
{
	int place = t->places[column];

	if (place == NOT_SHOWN || !t->line)
		return;
	if (t->columns[column].width > 0 &&
	    place < t->shown - 1) /* the last column needs no padding */
		set_fixed_cell(t, column, text);
	else if (scols_line_set_data(t->line, (size_t)place, text) < 0)
		t->out->failed = true;
}

void output_table_text(struct output_table *t, int column, const char *text)
{
	cleanup(strbuf_free) struct strbuf visible = { 0 };
	struct sort_key *key = key_of(t, column);

	if (key) {
		free(key->text);
		key->text = text ? strdup(text) : NULL;
	}
	if (!text) {
		set_cell(t, column, output_unknown(t->out));
		return;
	}
	visible_text_append(&visible, text, t->out->utf8);
	if (strbuf_failed(&visible))
		t->out->failed = true;
	else
		set_cell(t, column, visible.length > 0 ? visible.text : "");
}

void output_table_id(struct output_table *t, int column, const char *id, const char *mark)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	size_t length = t->out->truncate ? strnlen(id, OUTPUT_TABLE_SHORT_ID) : strlen(id);

	strbuf_append_bytes(&text, id, length);
	strbuf_append(&text, mark);
	if (strbuf_failed(&text))
		t->out->failed = true;
	else
		output_table_text(t, column, text.text ? text.text : "");
}

void output_table_size(struct output_table *t, int column, int64_t bytes, const char *mark)
{
	char size[UNITS_TEXT_MAX], text[UNITS_TEXT_MAX + 8];

	set_number(t, column, bytes);
	(void)snprintf(text, sizeof(text), "%s%s", output_size(t->out, bytes, size), mark);
	set_cell(t, column, text);
}

void output_table_count(struct output_table *t, int column, uint64_t count, bool known)
{
	char text[UNITS_TEXT_MAX];

	set_number(t, column, known ? (int64_t)count : -1);
	(void)snprintf(text, sizeof(text), "%" PRIu64, count);
	set_cell(t, column, known ? text : output_unknown(t->out));
}

void output_table_age(struct output_table *t, int column, int64_t wall_ns, bool known)
{
	char text[UNITS_TEXT_MAX];

	set_number(t, column, known ? wall_ns : -1);
	if (!known)
		set_cell(t, column, output_unknown(t->out));
	else if (t->out->iso_times && wall_ns != 0)
		set_cell(t, column, units_format_time(wall_ns - wall_ns % NS_PER_S, text));
	else
		set_cell(t, column, units_format_age(wall_ns, clock_wall_ns(), text));
}

void output_table_color(struct output_table *t, int column, const char *sequence)
{
	if (t->places[column] == NOT_SHOWN || !t->line || !t->out->color)
		return;
	if (scols_cell_set_color(scols_line_get_cell(t->line, (size_t)t->places[column]),
				 sequence) < 0)
		t->out->failed = true;
}

/* Large numbers and late times first, texts by their bytes; equal rows as they were added. */
static int compare_keys(const void *a, const void *b)
{
	const struct sort_key *x = a, *y = b;
	int order = strcmp(x->text ? x->text : "", y->text ? y->text : "");

	if (order)
		return order;
	if (x->number != y->number)
		return x->number > y->number ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

/* A tree stays as it is: its order is what it shows. */
static void sort_rows(struct output_table *t)
{
	if (t->sort < 0 || t->is_tree || t->key_count == 0)
		return;
	qsort(t->keys, t->key_count, sizeof(*t->keys), compare_keys);
	scols_table_remove_lines(t->table);
	for (size_t i = 0; i < t->key_count; i++) {
		struct sort_key *key = &t->keys[t->reverse ? t->key_count - 1 - i : i];

		if (scols_table_add_line(t->table, key->line) < 0)
			t->out->failed = true;
	}
}

void output_table_print(struct output_table *t)
{
	if (scols_table_is_empty(t->table))
		return;
	sort_rows(t);
	forget_keys(t);
	if (scols_print_table(t->table) < 0 || scols_table_enable_noheadings(t->table, 1) < 0)
		t->out->failed = true;
	scols_table_remove_lines(t->table);
	t->line = NULL;
}
