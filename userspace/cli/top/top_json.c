/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_json.h"

#include <string.h>

#include "cli/output.h"

static void write_recent(struct json_writer *w, const uint32_t *kib, size_t count)
{
	json_open_array(w, "recentKib");
	for (size_t i = 0; i < count; i++)
		json_put_uint(w, NULL, kib[i]);
	json_close_array(w);
}

static void write_row(struct json_writer *w, const Varve__V1__LiveRow *r)
{
	json_open_object(w, NULL);
	json_put_string(w, "id", r->id);
	json_put_string(w, "layer", r->layer);
	json_put_string(w, "description", r->description);
	json_put_uint(w, "records", r->records);
	output_json_size(w, "size", r->size);
	json_put_bool(w, "inUse", r->in_use);
	json_put_bool(w, "pinned", r->pinned);
	json_put_bool(w, "lazy", r->lazy);
	json_put_uint(w, "opens", r->opens);
	json_put_uint(w, "readBytes", r->read_bytes);
	json_put_double(w, "readBytesPerSecond", r->read_bytes_per_s);
	json_put_double(w, "opensPerSecond", r->opens_per_s);
	json_put_uint(w, "filesTouched", r->files_touched);
	output_json_size(w, "inodes", r->inodes);
	output_json_time(w, "lastReadAt", r->last_read_ns);
	json_put_string(w, "reader", r->reader[0] ? r->reader : NULL);
	write_recent(w, r->recent_kib, r->n_recent_kib);
	json_close_object(w);
}

static void write_files(struct json_writer *w, const struct top_state *s)
{
	for (size_t i = 0; i < s->files.count; i++) {
		const Varve__V1__FileBatch *b = (Varve__V1__FileBatch *)s->files.items[i];

		for (size_t k = 0; k < b->n_files; k++) {
			json_open_object(w, NULL);
			json_put_string(w, "path", b->files[k]->path);
			json_put_uint(w, "opens", b->files[k]->opens);
			json_put_uint(w, "readBytes", b->files[k]->read_bytes);
			output_json_time(w, "lastAccessAt", b->files[k]->last_access_ns);
			json_close_object(w);
		}
	}
}

static void write_readers(struct json_writer *w, const Varve__V1__ReadersReply *readers)
{
	for (size_t i = 0; readers && i < readers->n_readers; i++) {
		const Varve__V1__Reader *r = readers->readers[i];

		json_open_object(w, NULL);
		json_put_string(w, "who", r->reader[0] ? r->reader : NULL);
		json_put_bool(w, "upkeep", r->upkeep);
		json_put_uint(w, "opens", r->opens);
		json_put_uint(w, "readBytes", r->read_bytes);
		output_json_time(w, "lastReadAt", r->last_read_ns);
		json_close_object(w);
	}
}

static void write_owners(struct json_writer *w, const Varve__V1__OwnersReply *owners)
{
	for (size_t i = 0; owners && i < owners->n_owners; i++) {
		const Varve__V1__Owner *o = owners->owners[i];

		json_open_object(w, NULL);
		json_put_string(w, "name", o->name);
		json_put_bool(w, "reachable", o->reachable);
		json_put_uint(w, "records", o->records);
		output_json_size(w, "size", o->size);
		output_json_size(w, "evictableSize", o->evictable_size);
		json_close_object(w);
	}
}

static void write_policies(struct json_writer *w, const Varve__V1__PolicyReply *policies)
{
	for (size_t i = 0; policies && i < policies->n_policies; i++) {
		const Varve__V1__Policy *p = policies->policies[i];

		json_open_object(w, NULL);
		json_put_string(w, "name", p->name);
		json_put_int(w, "used", p->used);
		output_json_size(w, "keep", p->keep == INT64_MAX ? -1 : p->keep);
		json_close_object(w);
	}
}

static void write_rows(struct json_writer *w, const struct top_state *s)
{
	json_open_array(w, "rows");
	switch (s->view) {
	case TOP_FILES:
		write_files(w, s);
		break;
	case TOP_WHO:
		write_readers(w, s->readers);
		break;
	case TOP_OWNERS:
		write_owners(w, s->owners);
		break;
	case TOP_EVICTION:
		write_policies(w, s->policies);
		break;
	default:
		for (size_t i = 0; i < s->live->n_rows; i++)
			write_row(w, s->live->rows[i]);
	}
	json_close_array(w);
}

static void write_sums(struct json_writer *w, const Varve__V1__LiveSums *sums)
{
	if (!sums)
		return;
	json_put_uint(w, "records", sums->records);
	json_put_uint(w, "inUse", sums->in_use);
	json_put_uint(w, "lazy", sums->lazy);
	json_put_uint(w, "pinned", sums->pinned);
	json_put_int(w, "used", sums->used);
	json_put_int(w, "reclaimable", sums->reclaimable);
	json_put_int(w, "neverRead", sums->never_read);
	json_put_int(w, "notReadForWeek", sums->cold_week);
	json_put_int(w, "diskFree", sums->disk_free);
	json_put_int(w, "diskSize", sums->disk_total);
}

void top_json_write(struct json_writer *w, const struct top_state *s)
{
	const Varve__V1__LiveReply *live = s->live;

	json_open_object(w, NULL);
	output_json_time(w, "at", live->time_ns);
	output_json_time(w, "countedAt", live->counted_ns);
	output_json_time(w, "awaySince", s->away_ns);
	output_json_time(w, "startedAt", live->started_ns);
	json_put_string(w, "backend", live->backend[0] ? live->backend : "none");
	json_put_uint(w, "lost", live->lost);
	if (s->program_share >= 0)
		json_put_double(w, "bpfCpuShare", s->program_share);
	else
		json_put_null(w, "bpfCpuShare");
	json_put_double(w, "readBytesPerSecond", live->read_bytes_per_s);
	json_put_double(w, "opensPerSecond", live->opens_per_s);
	write_recent(w, live->recent_kib, live->n_recent_kib);
	write_sums(w, s->sums);
	json_put_string(w, "view", top_state_views[s->view]);
	json_put_uint(w, "matching", live->matching);
	write_rows(w, s);
	json_close_object(w);
}
