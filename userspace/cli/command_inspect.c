/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli_id_map.h"
#include "cli/cli_records.h"
#include "cli/commands.h"

static void print_names(struct output *o, const char *name, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		output_field(o, i == 0 ? name : "", "%s", names[i]);
}

static void print_access(struct output *o, const Varve__V1__Record *r)
{
	char size[UNITS_TEXT_MAX], time[2 * UNITS_TEXT_MAX];

	if (!cli_records_access_known(r)) {
		output_field(o, "Accesses", "%s", output_unknown(o));
		return;
	}
	output_field(o, "Opens", "%" PRIu64, r->access->opens);
	output_field(o, "Reads", "%" PRIu64 " (%s)", r->access->reads,
		     output_size(o, (int64_t)r->access->read_bytes, size));
	output_field(o, "Last read", "%s", output_time(o, r->access->last_read_ns, time));
	if (r->access->upkeep && r->access->upkeep->reads > 0)
		output_field(o, "Upkeep", "%" PRIu64 " reads (%s), the last %s",
			     r->access->upkeep->reads,
			     output_size(o, (int64_t)r->access->upkeep->read_bytes, size),
			     output_time(o, r->access->upkeep->last_read_ns, time));
	output_field(o, "Counted by", "%s", r->access->backend);
}

static void print_expected(struct output *o, const Varve__V1__Record *r)
{
	char cost[UNITS_TEXT_MAX];

	output_field(o, "Cost", "%s",
		     r->cost_s > 0 ? units_format_about(r->cost_s, cost) : output_unknown(o));
	output_field(o, "Needed again", "%s",
		     r->needed_again[0] ? r->needed_again : output_unknown(o));
}

static void print_id_map(struct output *o, const char *name, const Varve__V1__IdMap *map)
{
	if (map)
		output_field(o, name, "users %s, groups %s", map->uids, map->gids);
}

static void print_storage(struct output *o, const Varve__V1__Record *r)
{
	char size[UNITS_TEXT_MAX], apparent[UNITS_TEXT_MAX];

	if (r->lazy)
		output_field(o, "Size", "%s (of the blob; the record is lazy and has no files yet)",
			     output_size(o, r->size, size));
	else if (r->size < 0)
		output_field(o, "Size", "%s", output_unknown(o));
	else
		output_field(o, "Size", "%s allocated, %s apparent, %" PRId64 " inodes",
			     output_size(o, r->size, size),
			     output_size(o, r->apparent_size, apparent), r->inodes);
	output_field(o, "Layer", "%s", r->layer);
	if (r->chain_id[0])
		output_field(o, "Chain id", "%s", r->chain_id);
	if (r->blob) {
		output_field(o, "Blob", "%s, %s%s", r->blob->digest,
			     output_size(o, r->blob->size, size),
			     r->blob->here ? "" : ", not in this store");
		output_field(o, "Diff id", "%s", r->blob->diff_id);
		if (r->blob->registry[0])
			output_field(o, "Source", "docker://%s/%s", r->blob->registry,
				     r->blob->repository);
	}
	if (r->twin[0])
		output_field(o, "Twin", "%s", r->twin);
	print_id_map(o, "Id map", r->id_map);
	if (r->mountpoint[0])
		output_field(o, "Mounted at", "%s%s", r->mountpoint,
			     r->mounted_read_only ? " (read-only)" : "");
	if (!r->id_map)
		print_id_map(o, "Mounted with", r->mount_id_map);
}

static void print_owners(struct output *o, const Varve__V1__Record *r)
{
	char time[2 * UNITS_TEXT_MAX];

	for (size_t i = 0; i < r->n_owners; i++) {
		const Varve__V1__OwnerName *name = r->owners[i];

		output_field(o, i == 0 ? "Owners" : "", "%s: %s %s%s%s%s", name->owner, name->kind,
			     name->id, name->description[0] ? " (" : "", name->description,
			     name->description[0] ? ")" : "");
		if (name->last_used_ns)
			output_field(o, "", "last used, as %s says, %s", name->owner,
				     output_time(o, name->last_used_ns, time));
	}
}

static void print_record(struct output *o, const Varve__V1__Record *r)
{
	char time[2 * UNITS_TEXT_MAX];

	output_field(o, "ID", "%s", r->id);
	output_field(o, "Description", "%s", r->description);
	output_field(o, "Kind", "%s%s%s%s", r->mutable_ ? "mutable" : "immutable",
		     r->retain ? ", retained" : "", r->pinned ? ", pinned" : "",
		     r->shared ? ", shared" : "");
	output_field(o, "Type", "%s", r->record_type);
	if (r->snapshot_key[0])
		output_field(o, "Snapshot", "%s (%s)", r->snapshot_key, r->snapshot_kind);
	print_names(o, "Parents", r->parents, r->n_parents);
	print_names(o, "Children", r->children, r->n_children);
	for (size_t i = 0; i < r->n_labels; i++)
		output_field(o, i == 0 ? "Labels" : "", "%s=%s", r->labels[i]->key,
			     r->labels[i]->value);
	print_names(o, "Image refs", r->image_refs, r->n_image_refs);
	print_storage(o, r);
	output_field(o, "Created", "%s", output_time(o, r->created_ns, time));
	output_field(o, "Last used", "%s", output_time(o, r->last_used_ns, time));
	output_field(o, "Uses", "%" PRId64 " (%" PRId64 " counting refs only)", r->usage_count,
		     r->ref_usage_count);
	print_access(o, r);
	print_expected(o, r);
	output_field(o, "In use", "%s", r->in_use ? "yes" : "no");
	for (size_t i = 0; i < r->n_holds; i++)
		output_field(o, i == 0 ? "Held by" : "", "%s (%" PRIu32 " refs)",
			     r->holds[i]->lease, r->holds[i]->refs);
	print_owners(o, r);
}

static void write_names(struct json_writer *w, const char *key, char *const *names, size_t count)
{
	json_open_array(w, key);
	for (size_t i = 0; i < count; i++)
		json_put_string(w, NULL, names[i]);
	json_close_array(w);
}

static void print_json(struct output *o, const Varve__V1__Record *r)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct json_writer w = { .out = &line };

	json_open_object(&w, NULL);
	cli_records_json(&w, r);
	json_put_bool(&w, "retain", r->retain);
	json_put_string(&w, "twin", r->twin[0] ? r->twin : NULL);
	json_put_string(&w, "layer", r->layer);
	output_json_size(&w, "apparentSize", r->size < 0 ? -1 : r->apparent_size);
	output_json_size(&w, "inodes", r->size < 0 ? -1 : r->inodes);
	json_put_string(&w, "mountpoint", r->mountpoint[0] ? r->mountpoint : NULL);
	json_put_bool(&w, "readOnly", r->mounted_read_only);
	cli_id_map_json(&w, "idMap", r->id_map);
	cli_id_map_json(&w, "mountIdMap", r->mount_id_map);
	json_open_array(&w, "holds");
	for (size_t i = 0; i < r->n_holds; i++) {
		json_open_object(&w, NULL);
		json_put_string(&w, "lease", r->holds[i]->lease);
		json_put_uint(&w, "refs", r->holds[i]->refs);
		json_close_object(&w);
	}
	json_close_array(&w);
	write_names(&w, "children", r->children, r->n_children);
	json_put_int(&w, "refUsageCount", r->ref_usage_count);
	output_json_time(&w, "refLastUsedAt", r->ref_last_used_ns);
	json_close_object(&w);
	output_json_line(o, &w);
}

static int run(struct cli *c, struct error *e)
{
	cleanup(cli_records_free) struct cli_records records = { 0 };
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	int code;

	request.ids = c->line.words;
	request.n_ids = c->line.word_count;
	request.disk_usage = true; /* measures stale sizes */
	request.ask_owners = true;
	code = cli_records_fetch(c, &request, &records, e);
	if (code < 0)
		return code;
	if (c->line.globals.quiet) {
		(void)cli_records_print_plain(c, &records); /* -q is one of its two cases */
		return 0;
	}
	for (size_t i = 0; i < records.count; i++) {
		if (c->line.globals.json) {
			print_json(&c->out, records.items[i]);
			continue;
		}
		if (i > 0)
			output_text(&c->out, "");
		print_record(&c->out, records.items[i]);
	}
	return 0;
}

const struct cli_verb command_inspect = {
	.name = "inspect",
	.arguments = "ID...",
	.summary = "show all details of records",
	.min_words = 1,
	.max_words = CLI_ANY_NUMBER,
	.run = run,
};
