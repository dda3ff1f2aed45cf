/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GREEN "\033[32m"
#define BLUE "\033[34m"

const struct output_column cli_records_columns[] = {
	[CLI_RECORDS_ID] = { "ID", "the record", OUTPUT_TABLE_TREE, 0 },
	[CLI_RECORDS_KIND] = { "KIND", "mutable, immutable, lazy, or the kind of snapshot",
			       OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_TYPE] = { "TYPE", "the record type, as BuildKit names it", OUTPUT_TABLE_LEFT,
			       0 },
	[CLI_RECORDS_RECLAIMABLE] = { "RECLAIMABLE", "not in use", OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_SIZE] = { "SIZE", "bytes on disk, blob included; if lazy, of the blob",
			       OUTPUT_TABLE_RIGHT, 0 },
	[CLI_RECORDS_USES] = { "USES", "how often it was used", OUTPUT_TABLE_RIGHT, 0 },
	[CLI_RECORDS_LAST_USED] = { "LAST USED", "last release of a ref, or last access",
				    OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_IN_USE] = { "IN USE", "held by a lease or mounted", OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_SHARED] = { "SHARED", "other records or leases rely on its data, too",
				 OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_PINNED] = { "PINNED", "never pruned or removed", OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_OPENS] = { "OPENS", "files opened", OUTPUT_TABLE_RIGHT, 0 },
	[CLI_RECORDS_READS] = { "READS", "read calls", OUTPUT_TABLE_RIGHT, 0 },
	[CLI_RECORDS_READ] = { "READ", "bytes read", OUTPUT_TABLE_RIGHT, 0 },
	[CLI_RECORDS_LAST_READ] = { "LAST READ", "the last access to a file", OUTPUT_TABLE_LEFT,
				    0 },
	[CLI_RECORDS_BACKEND] = { "BACKEND", "the backend that counts accesses", OUTPUT_TABLE_LEFT,
				  0 },
	[CLI_RECORDS_COST] = { "COST", "time that it took to make (du only)", OUTPUT_TABLE_RIGHT,
			       0 },
	[CLI_RECORDS_NEEDED_AGAIN] = { "NEEDED AGAIN",
				       "when it is expected to be needed again (du only)",
				       OUTPUT_TABLE_CUT, 0 },
	[CLI_RECORDS_CREATED] = { "CREATED", "when it was created", OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_PARENT] = { "PARENT", "the record below", OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_CHAIN] = { "CHAIN", "the chain id of an image layer", OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_SNAPSHOT] = { "SNAPSHOT", "its key in containerd", OUTPUT_TABLE_CUT, 0 },
	[CLI_RECORDS_BLOB] = { "BLOB", "the digest of its blob", OUTPUT_TABLE_LEFT, 0 },
	[CLI_RECORDS_BLOB_SIZE] = { "BLOB SIZE", "the size of its blob", OUTPUT_TABLE_RIGHT, 0 },
	[CLI_RECORDS_IMAGES] = { "IMAGES", "image references, separated by commas",
				 OUTPUT_TABLE_CUT, 0 },
	[CLI_RECORDS_OWNER] = { "OWNER",
				"programs whose record, image or container needs it, and its id",
				OUTPUT_TABLE_CUT, 0 },
	[CLI_RECORDS_OWNER_USED] = { "OWNER USED", "last use, as the owner says", OUTPUT_TABLE_LEFT,
				     0 },
	[CLI_RECORDS_LABELS] = { "LABELS", "KEY=VALUE, separated by commas", OUTPUT_TABLE_CUT, 0 },
	[CLI_RECORDS_DESCRIPTION] = { "DESCRIPTION", "the description", OUTPUT_TABLE_CUT, 0 },
	[CLI_RECORDS_END] = { NULL, NULL, OUTPUT_TABLE_LEFT, 0 },
};

int cli_records_fetch(struct cli *c, const Varve__V1__ListRequest *request,
		      struct cli_records *ret_records, struct error *e)
{
	cleanup(cli_records_free) struct cli_records records = { 0 };
	size_t total = 0;
	int code = cli_call_all(c, "List", &request->base, &varve__v1__record_batch__descriptor,
				&records.replies, e);

	if (code < 0)
		return code;
	for (size_t i = 0; i < records.replies.count; i++)
		total += ((Varve__V1__RecordBatch *)records.replies.items[i])->n_records;
	records.items = calloc(total + 1, sizeof(*records.items));
	if (!records.items)
		return error_set(e, -ENOMEM, "out of memory for %zu records", total);
	for (size_t i = 0; i < records.replies.count; i++) {
		const Varve__V1__RecordBatch *batch =
			(Varve__V1__RecordBatch *)records.replies.items[i];

		for (size_t j = 0; j < batch->n_records; j++)
			records.items[records.count++] = batch->records[j];
	}
	*ret_records = records;
	records = (struct cli_records){ 0 };
	return 0;
}

void cli_records_free(struct cli_records *records)
{
	free(records->items);
	cli_call_free_replies(&records->replies);
	*records = (struct cli_records){ 0 };
}

static const char *yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

static const Varve__V1__Access *record_access(const Varve__V1__Record *record)
{
	static const Varve__V1__Access none = VARVE__V1__ACCESS__INIT;

	return record->access ? record->access : &none;
}

bool cli_records_access_known(const Varve__V1__Record *record)
{
	const Varve__V1__Access *a = record_access(record);

	if (a->opens > 0 || a->reads > 0 || a->last_read_ns != 0)
		return true; /* counted earlier, by a backend that is gone */
	return a->backend[0] != '\0' && strcmp(a->backend, "none") != 0;
}

static void labels_cell(struct output_table *t, const Varve__V1__Record *record)
{
	cleanup(strbuf_free) struct strbuf labels = { 0 };

	for (size_t i = 0; i < record->n_labels; i++)
		strbuf_appendf(&labels, "%s%s=%s", i > 0 ? "," : "", record->labels[i]->key,
			       record->labels[i]->value);
	if (strbuf_failed(&labels))
		output_table_text(t, CLI_RECORDS_LABELS, NULL);
	else
		output_table_text(t, CLI_RECORDS_LABELS, labels.text ? labels.text : "");
}

static void content_cells(struct output_table *t, const Varve__V1__Record *r)
{
	cleanup(strbuf_free) struct strbuf refs = { 0 };

	for (size_t i = 0; i < r->n_image_refs; i++)
		strbuf_appendf(&refs, "%s%s", i > 0 ? "," : "", r->image_refs[i]);
	output_table_text(t, CLI_RECORDS_IMAGES, strbuf_failed(&refs) ? NULL : refs.text);
	output_table_text(t, CLI_RECORDS_BLOB, r->blob ? r->blob->digest : NULL);
	output_table_size(t, CLI_RECORDS_BLOB_SIZE, r->blob ? r->blob->size : -1, "");
}

char *cli_records_owners_text(Varve__V1__OwnerName *const *names, size_t count)
{
	struct strbuf text = { 0 };

	for (size_t i = 0; i < count; i++)
		strbuf_appendf(&text, "%s%s:%s", i > 0 ? "," : "", names[i]->owner, names[i]->id);
	return strbuf_take(&text);
}

bool cli_records_want_owners(const struct cli *c)
{
	return c->line.globals.json || (c->out.columns && strcasestr(c->out.columns, "OWNER"));
}

static void owner_cells(struct output_table *t, const Varve__V1__Record *r)
{
	cleanup(free_ptr) char *names = cli_records_owners_text(r->owners, r->n_owners);
	int64_t used_ns = 0;

	for (size_t i = 0; i < r->n_owners; i++)
		if (r->owners[i]->last_used_ns > used_ns)
			used_ns = r->owners[i]->last_used_ns;
	output_table_text(t, CLI_RECORDS_OWNER, names);
	output_table_age(t, CLI_RECORDS_OWNER_USED, used_ns, used_ns != 0);
}

void cli_records_owners_json(struct json_writer *w, Varve__V1__OwnerName *const *names,
			     size_t count)
{
	json_open_array(w, "owners");
	for (size_t i = 0; i < count; i++) {
		json_open_object(w, NULL);
		json_put_string(w, "owner", names[i]->owner);
		json_put_string(w, "kind", names[i]->kind);
		json_put_string(w, "id", names[i]->id);
		json_put_string(w, "description", names[i]->description);
		output_json_time(w, "lastUsedAt", names[i]->last_used_ns);
		json_put_string(w, "kept", names[i]->kept[0] ? names[i]->kept : NULL);
		json_close_object(w);
	}
	json_close_array(w);
}

static void expected_cells(struct output_table *t, const Varve__V1__Record *r)
{
	char cost[UNITS_TEXT_MAX];

	output_table_text(t, CLI_RECORDS_COST,
			  r->cost_s > 0 ? units_format_about(r->cost_s, cost) : NULL);
	output_table_text(t, CLI_RECORDS_NEEDED_AGAIN, r->needed_again[0] ? r->needed_again : NULL);
}

static void access_cells(struct output_table *t, const Varve__V1__Record *record)
{
	const Varve__V1__Access *a = record_access(record);
	bool known = cli_records_access_known(record);

	output_table_count(t, CLI_RECORDS_OPENS, a->opens, known);
	output_table_count(t, CLI_RECORDS_READS, a->reads, known);
	output_table_size(t, CLI_RECORDS_READ, known ? (int64_t)a->read_bytes : -1, "");
	output_table_age(t, CLI_RECORDS_LAST_READ, a->last_read_ns, known);
	output_table_text(t, CLI_RECORDS_BACKEND, a->backend[0] ? a->backend : NULL);
}

/* What keeps a record is green, what was never read is blue. */
static void color_cells(struct output_table *t, const Varve__V1__Record *r)
{
	if (r->in_use) {
		output_table_color(t, CLI_RECORDS_IN_USE, GREEN);
		output_table_color(t, CLI_RECORDS_RECLAIMABLE, GREEN);
	}
	if (r->pinned)
		output_table_color(t, CLI_RECORDS_PINNED, GREEN);
	if (cli_records_access_known(r) && (!r->access || r->access->last_read_ns == 0))
		output_table_color(t, CLI_RECORDS_LAST_READ, BLUE);
}

void cli_records_cells(struct output_table *t, const Varve__V1__Record *r, bool marks)
{
	output_table_id(t, CLI_RECORDS_ID, r->id, marks && r->mutable_ ? "*" : "");
	output_table_text(t, CLI_RECORDS_KIND,
			  r->snapshot_kind[0] ? r->snapshot_kind
			  : r->mutable_	      ? "mutable"
			  : r->lazy	      ? "lazy"
					      : "immutable");
	output_table_text(t, CLI_RECORDS_SNAPSHOT, r->snapshot_key[0] ? r->snapshot_key : NULL);
	output_table_text(t, CLI_RECORDS_TYPE, r->record_type);
	output_table_text(t, CLI_RECORDS_RECLAIMABLE, r->in_use ? "false" : "true");
	output_table_size(t, CLI_RECORDS_SIZE, r->size, marks && r->shared ? "*" : "");
	output_table_count(t, CLI_RECORDS_USES, (uint64_t)r->usage_count, r->usage_count >= 0);
	output_table_age(t, CLI_RECORDS_LAST_USED, r->last_used_ns, true);
	output_table_text(t, CLI_RECORDS_IN_USE, yes_no(r->in_use));
	output_table_text(t, CLI_RECORDS_SHARED, yes_no(r->shared));
	output_table_text(t, CLI_RECORDS_PINNED, yes_no(r->pinned));
	output_table_age(t, CLI_RECORDS_CREATED, r->created_ns, r->created_ns != 0);
	output_table_text(t, CLI_RECORDS_PARENT, NULL);
	if (r->n_parents > 0)
		output_table_id(t, CLI_RECORDS_PARENT, r->parents[0], "");
	output_table_text(t, CLI_RECORDS_CHAIN, r->chain_id[0] ? r->chain_id : NULL);
	output_table_text(t, CLI_RECORDS_DESCRIPTION, r->description);
	color_cells(t, r);
	labels_cell(t, r);
	content_cells(t, r);
	owner_cells(t, r);
	access_cells(t, r);
	expected_cells(t, r);
}

static void content_json(struct json_writer *w, const Varve__V1__Record *r)
{
	const Varve__V1__Blob *b = r->blob;

	json_put_bool(w, "lazy", r->lazy);
	json_open_array(w, "imageRefs");
	for (size_t i = 0; i < r->n_image_refs; i++)
		json_put_string(w, NULL, r->image_refs[i]);
	json_close_array(w);
	cli_records_owners_json(w, r->owners, r->n_owners);
	if (!b) {
		json_put_null(w, "blob");
		return;
	}
	json_open_object(w, "blob");
	json_put_string(w, "digest", b->digest);
	json_put_string(w, "mediaType", b->media_type);
	json_put_int(w, "size", b->size);
	json_put_string(w, "diffId", b->diff_id);
	json_put_string(w, "blobChainId", b->blob_chain_id);
	json_put_bool(w, "here", b->here);
	json_put_string(w, "registry", b->registry[0] ? b->registry : NULL);
	json_put_string(w, "repository", b->repository[0] ? b->repository : NULL);
	json_close_object(w);
}

void cli_records_upkeep_json(struct json_writer *w, const Varve__V1__Upkeep *upkeep, bool known)
{
	static const Varve__V1__Upkeep none = VARVE__V1__UPKEEP__INIT;
	const Varve__V1__Upkeep *u = upkeep ? upkeep : &none;

	json_open_object(w, "upkeep");
	if (known) {
		json_put_uint(w, "opens", u->opens);
		json_put_uint(w, "reads", u->reads);
		json_put_uint(w, "readBytes", u->read_bytes);
	} else {
		json_put_null(w, "opens");
		json_put_null(w, "reads");
		json_put_null(w, "readBytes");
	}
	output_json_time(w, "lastReadAt", u->last_read_ns);
	json_close_object(w);
}

static void access_json(struct json_writer *w, const Varve__V1__Record *record)
{
	const Varve__V1__Access *a = record_access(record);

	json_open_object(w, "access");
	if (cli_records_access_known(record)) {
		json_put_uint(w, "opens", a->opens);
		json_put_uint(w, "reads", a->reads);
		json_put_uint(w, "readBytes", a->read_bytes);
	} else {
		json_put_null(w, "opens");
		json_put_null(w, "reads");
		json_put_null(w, "readBytes");
	}
	output_json_time(w, "lastReadAt", a->last_read_ns);
	output_json_time(w, "lastWrittenAt", a->last_written_ns);
	cli_records_upkeep_json(w, a->upkeep, cli_records_access_known(record));
	json_put_string(w, "backend", a->backend[0] ? a->backend : "none");
	json_close_object(w);
}

static void seconds_json(struct json_writer *w, const char *key, double seconds)
{
	if (seconds > 0)
		json_put_double(w, key, seconds);
	else
		json_put_null(w, key);
}

void cli_records_snapshot_json(struct json_writer *w, const char *key, const char *kind)
{
	if (!key[0]) {
		json_put_null(w, "snapshot");
		return;
	}
	json_open_object(w, "snapshot");
	json_put_string(w, "key", key);
	json_put_string(w, "kind", kind);
	json_close_object(w);
}

void cli_records_json(struct json_writer *w, const Varve__V1__Record *r)
{
	json_put_string(w, "id", r->id);
	json_open_array(w, "parents");
	for (size_t i = 0; i < r->n_parents; i++)
		json_put_string(w, NULL, r->parents[i]);
	json_close_array(w);
	json_put_bool(w, "mutable", r->mutable_);
	json_put_bool(w, "inUse", r->in_use);
	json_put_bool(w, "shared", r->shared);
	output_json_size(w, "size", r->size);
	output_json_time(w, "createdAt", r->created_ns);
	output_json_time(w, "lastUsedAt", r->last_used_ns);
	json_put_int(w, "usageCount", r->usage_count);
	json_put_string(w, "description", r->description);
	json_put_string(w, "recordType", r->record_type);
	json_open_object(w, "labels");
	for (size_t i = 0; i < r->n_labels; i++)
		json_put_string(w, r->labels[i]->key, r->labels[i]->value);
	json_close_object(w);
	json_put_bool(w, "pinned", r->pinned);
	json_put_string(w, "chainId", r->chain_id[0] ? r->chain_id : NULL);
	content_json(w, r);
	access_json(w, r);
	cli_records_snapshot_json(w, r->snapshot_key, r->snapshot_kind);
	seconds_json(w, "cost", r->cost_s);
	seconds_json(w, "neededAgain", r->needed_again_s);
	json_put_bool(w, "keptLonger", r->kept_longer);
}

bool cli_records_print_plain(struct cli *c, const struct cli_records *records)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	if (!c->line.globals.json && !c->line.globals.quiet)
		return false;
	for (size_t i = 0; i < records->count; i++) {
		if (c->line.globals.quiet) {
			output_text(&c->out, records->items[i]->id);
			continue;
		}
		json_open_object(&w, NULL);
		cli_records_json(&w, records->items[i]);
		json_close_object(&w);
		output_json_line(&c->out, &w);
	}
	return true;
}
