/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers what cgroups have read, out of a buffer of the kernel's, and makes rows of it: one for
 * each layer and container or unit.
 */
#pragma once

#include "manager/state/manager_state.h"
#include "store/reader_rows.h"
#include "usage/usage_reader.h"

struct gathered_reader;

struct reader_fold {
	struct gathered_reader *gathered;
	size_t gathered_count, gathered_capacity;
	char **names; /* that the rows point to */
	size_t name_count;
	struct reader_row *rows; /* after reader_fold_finish(): sorted, each reader once a layer */
	size_t count;
};

void reader_fold_free(struct reader_fold *f); /* what it points to */
int reader_fold_add(struct reader_fold *f, const char *layer, const struct usage_file *reader);
/* Finds the names, and makes the rows. */
int reader_fold_finish(struct reader_fold *f, struct manager *m, struct error *e);
