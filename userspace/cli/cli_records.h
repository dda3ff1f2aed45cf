/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching and printing records, for ls, tree, inspect and du. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/json_writer.h"
#include "cli/cli_call.h"
#include "cli/output_table.h"
#include "varve.pb-c.h"

enum cli_records_column {
	CLI_RECORDS_ID,
	CLI_RECORDS_KIND,
	CLI_RECORDS_TYPE,
	CLI_RECORDS_RECLAIMABLE,
	CLI_RECORDS_SIZE,
	CLI_RECORDS_USES,
	CLI_RECORDS_LAST_USED,
	CLI_RECORDS_IN_USE,
	CLI_RECORDS_SHARED,
	CLI_RECORDS_PINNED,
	CLI_RECORDS_OPENS,
	CLI_RECORDS_READS,
	CLI_RECORDS_READ,
	CLI_RECORDS_LAST_READ,
	CLI_RECORDS_BACKEND,
	CLI_RECORDS_COST,
	CLI_RECORDS_NEEDED_AGAIN,
	CLI_RECORDS_CREATED,
	CLI_RECORDS_PARENT,
	CLI_RECORDS_CHAIN,
	CLI_RECORDS_SNAPSHOT,
	CLI_RECORDS_BLOB,
	CLI_RECORDS_BLOB_SIZE,
	CLI_RECORDS_IMAGES,
	CLI_RECORDS_OWNER,
	CLI_RECORDS_OWNER_USED,
	CLI_RECORDS_LABELS,
	CLI_RECORDS_DESCRIPTION,
	CLI_RECORDS_END,
};

extern const struct output_column cli_records_columns[];

struct cli_records {
	const Varve__V1__Record **items;
	size_t count;
	struct cli_replies replies; /* owns the items */
};

int cli_records_fetch(struct cli *c, const Varve__V1__ListRequest *request,
		      struct cli_records *ret_records, struct error *e);
void cli_records_free(struct cli_records *records);
DEFINE_CLEANUP_VALUE(struct cli_records, cli_records_free)

/* Fills the newest row. With `marks`, as BuildKit does, an asterisk follows the id of a mutable
 * record and the size of a shared one. */
void cli_records_cells(struct output_table *t, const Varve__V1__Record *record, bool marks);
/* Writes the members of the JSON object, without its braces. */
void cli_records_json(struct json_writer *w, const Varve__V1__Record *record);
/* Writes the member "snapshot"; null for a record that is not a snapshot. */
void cli_records_snapshot_json(struct json_writer *w, const char *key, const char *kind);
/* Writes the member "upkeep". */
void cli_records_upkeep_json(struct json_writer *w, const Varve__V1__Upkeep *upkeep, bool known);
/* Writes the member "owners": by which names owners know the record. */
void cli_records_owners_json(struct json_writer *w, Varve__V1__OwnerName *const *names,
			     size_t count);
/* "OWNER:ID,…", for the caller to free. NULL: there are none, or no memory. */
char *cli_records_owners_text(Varve__V1__OwnerName *const *names, size_t count);
/* Whether the output names owners, which the agent then asks. */
bool cli_records_want_owners(const struct cli *c);
/* Prints the records for --json or -q; false, and nothing printed, without either option. */
bool cli_records_print_plain(struct cli *c, const struct cli_records *records);
/* Whether the accesses of a record were ever counted; if not, its zeros mean "unknown". */
bool cli_records_access_known(const Varve__V1__Record *record);
