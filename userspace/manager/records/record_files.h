/* SPDX-License-Identifier: Apache-2.0 */
/* What was accessed in one record's layer, by file, and what never was. */
#pragma once

#include "manager/state/manager_state.h"

struct record_file_view {
	char *path; /* in the layer; NULL: touched, and no longer there */
	int64_t size_bytes;
	uint64_t inode, opens, read_bytes, mapped_bytes;
	int64_t last_access_ns;
};

enum record_files_which {
	RECORD_FILES_TOUCHED,
	RECORD_FILES_HOT,
	RECORD_FILES_NEVER_READ,
	RECORD_FILES_ALL, /* sorted by path */
};

struct record_files_query {
	const char *id;
	enum record_files_which which;
	size_t limit; /* 0: none */
	const atomic_bool *cancelled; /* looked at between folders; may be NULL */
};

struct record_file_list {
	struct record_file_view *files;
	size_t count;
	/* Accesses of unknown files, when the last of them was, and 0 for never: a file that has no
	 * counts may have been read before. */
	uint64_t lost;
	int64_t complete_since_ns;
	bool sees_mapped; /* 0 in mapped_bytes means none */
};

int record_files(struct manager *m, const struct record_files_query *query,
		 struct record_file_list *ret_list, struct error *e);
void record_file_list_free(struct record_file_list *list); /* what it points to */
DEFINE_CLEANUP_VALUE(struct record_file_list, record_file_list_free)
