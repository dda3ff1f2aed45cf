/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables and trees by libsmartcols: what -o asks for, cut to the terminal's width, every cell
 * escaped. Failures are remembered in the struct output.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/output.h"

#define OUTPUT_TABLE_SHORT_ID 12

/* Tables of these end with an entry without a name. */
struct output_column {
	const char *name;
	const char *help;
	enum {
		OUTPUT_TABLE_LEFT,
		OUTPUT_TABLE_RIGHT, /* numbers */
		OUTPUT_TABLE_CUT, /* text that gives way when the terminal is narrow */
		OUTPUT_TABLE_TREE, /* carries the branches, where rows have parents */
	} kind;
	/* For tables that are printed row by row, when the next row is not known: the cell is
	 * padded, and text is cut unless all of it is asked for. 0: as wide as the widest. */
	int width;
};

/* -EINVAL when -o names a column that is not there. */
int output_table_check(const char *wanted, const struct output_column *columns, struct error *e);
struct output_table;
struct output_row;

/* `usual` names the columns that are shown without -o. NULL when out of memory. */
struct output_table *output_table_new(struct output *o, const struct output_column *columns,
				      const char *usual);
void output_table_free(struct output_table *t);
DEFINE_CLEANUP(struct output_table *, output_table_free)
/* A row below `parent` in a tree, else NULL. Cells go into the newest row; one that is not shown
 * is dropped. */
struct output_row *output_table_row(struct output_table *t, struct output_row *parent);
void output_table_text(struct output_table *t, int column, const char *text); /* NULL: unknown */
void output_table_id(struct output_table *t, int column, const char *id, const char *mark);
void output_table_size(struct output_table *t, int column, int64_t bytes, const char *mark);
void output_table_count(struct output_table *t, int column, uint64_t count, bool known);
void output_table_age(struct output_table *t, int column, int64_t wall_ns, bool known);
void output_table_color(struct output_table *t, int column, const char *sequence);
/* Prints the rows and forgets them; headings come once. */
void output_table_print(struct output_table *t);
