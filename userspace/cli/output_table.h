/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables and trees, drawn by libsmartcols: the columns that -o names, cut to the width of the
 * terminal, every cell escaped. Failures are remembered in the struct output.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/output.h"

#define OUTPUT_TABLE_SHORT_ID 12

/* An array of columns ends with an entry whose name is NULL. */
struct output_column {
	const char *name;
	const char *help;
	enum {
		OUTPUT_TABLE_LEFT,
		OUTPUT_TABLE_RIGHT, /* numbers */
		OUTPUT_TABLE_CUT, /* text that is cut when the terminal is narrow */
		OUTPUT_TABLE_TREE, /* shows the branches, if rows have parents */
	} kind;
	/* For tables that are printed row by row: cells are padded to this width, and text is cut
	 * to it unless --no-trunc is given. 0: as wide as the widest cell. */
	int width;
};

/* -EINVAL when -o names an unknown column, or one twice. */
int output_table_check(const char *wanted, const struct output_column *columns, struct error *e);
/* The same for --sort. */
int output_table_check_sort(const char *wanted, const struct output_column *columns,
			    struct error *e);
struct output_table;
struct output_row;

/* `usual` names the columns that are shown without -o. NULL: out of memory. */
struct output_table *output_table_new(struct output *o, const struct output_column *columns,
				      const char *usual);
void output_table_free(struct output_table *t);
DEFINE_CLEANUP(struct output_table *, output_table_free)
/* Adds a row; `parent` is the row above it in a tree, or NULL. The functions below fill cells of
 * the newest row; cells of columns that are not shown are dropped. */
struct output_row *output_table_row(struct output_table *t, struct output_row *parent);
void output_table_text(struct output_table *t, int column, const char *text); /* NULL: unknown */
void output_table_id(struct output_table *t, int column, const char *id, const char *mark);
void output_table_size(struct output_table *t, int column, int64_t bytes, const char *mark);
void output_table_count(struct output_table *t, int column, uint64_t count, bool known);
void output_table_age(struct output_table *t, int column, int64_t wall_ns, bool known);
void output_table_color(struct output_table *t, int column, const char *sequence);
/* Prints and removes all rows, in the order of --sort, or as they were added; headings are printed
 * once. */
void output_table_print(struct output_table *t);
