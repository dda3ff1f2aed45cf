/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the configuration, and the kinds of values that lines have. These functions return 1,
 * or note what is wrong with the line and return 0, as inih wants it of a handler.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config_file.h"

struct config_line {
	struct config_file *file; /* what the lines are read into */
	bool upkeep_given;
	char problem[200]; /* the first fault; inih returns its line */
};

/* Notes the fault of a line, unless there was one before; returns 0. */
int config_line_refuse(struct config_line *l, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Replaces *text, which the caller frees. */
int config_line_text(struct config_line *l, char **text, const char *value);

/* `name` is the key, for the text of a fault. */
int config_line_flag(struct config_line *l, bool *flag, const char *name, const char *value);
int config_line_duration(struct config_line *l, int64_t *ns, const char *name, const char *value);
int config_line_space(struct config_line *l, struct prune_space *space, const char *name,
		      const char *value);

#define CONFIG_SECTION_NAME_SIZE 41 /* inih truncates longer section names */

/* The name in a section of the kind 'policy "name"'; false: it is not one. */
bool config_line_section_name(const char *section, const char *kind,
			      char name[CONFIG_SECTION_NAME_SIZE]);
