/* SPDX-License-Identifier: Apache-2.0 */
#include "service/live_service.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/version.h"
#include "manager/manager.h"
#include "manager/numbers/duplicate_sample.h"
#include "manager/numbers/live_view.h"
#include "manager/numbers/numbers.h"
#include "manager/numbers/program_meter.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

#define MEASURE_MAX_NS (600 * NS_PER_S)

/* A reply and what it points to. */
struct live_reply {
	Varve__V1__LiveReply message;
	Varve__V1__LiveRow *rows;
	Varve__V1__LiveRow **pointers;
	Varve__V1__LiveSums sums;
	struct live_view view;
	struct manager_info info;
};

static void live_reply_free(struct live_reply *r)
{
	free(r->rows);
	free(r->pointers);
	live_view_free(&r->view);
	manager_info_free(&r->info);
}
DEFINE_CLEANUP_VALUE(struct live_reply, live_reply_free)

static void fill_row(Varve__V1__LiveRow *row, struct live_row *v)
{
	varve__v1__live_row__init(row);
	row->id = v->id;
	row->layer = v->layer;
	row->below = v->below;
	row->description = v->description;
	row->record_type = v->type;
	row->snapshot_kind = (char *)v->snapshot_kind;
	row->mutable_ = v->is_mutable;
	row->lazy = v->lazy;
	row->in_use = v->in_use;
	row->pinned = v->pinned;
	row->shared = v->shared;
	row->mounted = v->mounted;
	row->uncounted = v->uncounted;
	row->records = v->records;
	row->size = v->size_bytes;
	row->inodes = v->inodes;
	row->created_ns = v->created_ns;
	row->last_read_ns = v->access.when.last_ns;
	row->usage_count = v->uses;
	row->opens = v->access.counts.counters[USAGE_OPENS];
	row->read_bytes = v->access.counts.counters[USAGE_READ_BYTES];
	row->files_touched = v->files_touched;
	row->read_bytes_per_s = v->recent.bytes_per_s;
	row->opens_per_s = v->recent.opens_per_s;
	row->recent_kib = v->recent.kib;
	row->n_recent_kib = RECENT_READS_SLOTS;
	row->reader = v->reader ? v->reader : (char *)"";
}

static int fill_rows(struct live_reply *r)
{
	r->rows = calloc(r->view.count + 1, sizeof(*r->rows));
	r->pointers = calloc(r->view.count + 1, sizeof(*r->pointers));
	if (!r->rows || !r->pointers)
		return -ENOMEM;
	for (size_t i = 0; i < r->view.count; i++) {
		fill_row(&r->rows[i], &r->view.rows[i]);
		r->pointers[i] = &r->rows[i];
	}
	r->message.rows = r->pointers;
	r->message.n_rows = r->view.count;
	r->message.matching = r->view.matching;
	r->message.counted_ns = r->view.counted_ns;
	r->message.order_cost_ns = r->view.order_cost_ns;
	r->message.read_bytes_per_s = r->view.all.bytes_per_s;
	r->message.opens_per_s = r->view.all.opens_per_s;
	r->message.recent_kib = r->view.all.kib;
	r->message.n_recent_kib = RECENT_READS_SLOTS;
	return 0;
}

static int take_sums(struct manager *m, Varve__V1__LiveSums *sums, struct error *e)
{
	int64_t before = live_view_processor_ns();
	cleanup(free_ptr) struct numbers *n = calloc(1, sizeof(*n));
	int code = n ? numbers_take(m, n, e) : -ENOMEM;

	if (code < 0)
		return code;
	varve__v1__live_sums__init(sums);
	for (size_t i = 0; i < METER_TYPES; i++) {
		sums->records += n->records[i];
		sums->in_use += n->in_use[i];
	}
	for (size_t i = 0; i < NUMBERS_KIND_COUNT; i++)
		sums->used += n->bytes[i];
	sums->pinned = n->pinned;
	sums->lazy = n->lazy;
	sums->layers = n->layers;
	sums->mounts = n->mounts_writable + n->mounts_read_only;
	sums->leases = n->leases;
	sums->reclaimable = n->reclaimable_bytes;
	sums->never_read = n->never_read_bytes;
	sums->unmeasured = n->unmeasured;
	for (size_t i = 0; i < NUMBERS_WINDOWS; i++)
		if (numbers_window_ns(i) == 7 * 24 * 3600 * NS_PER_S)
			sums->cold_week = n->cold_bytes[i];
	live_view_disk(m, &sums->disk_total, &sums->disk_free);
	sums->cost_ns = live_view_processor_ns() - before + 1;
	return 0;
}

static void add_program(const char *name, uint64_t runs, uint64_t run_ns, void *user)
{
	Varve__V1__LiveReply *message = user;

	(void)name;
	message->program_runs += runs;
	message->program_run_ns += run_ns;
}

/* The connection may have ended before it was noted; then nothing else would tell of its end. */
static bool measure(struct manager *m, struct grpc_call *call, int64_t for_ns)
{
	uint64_t connection = grpc_call_peer(call)->connection;
	bool on = program_meter_keep_on(m, connection,
					for_ns < MEASURE_MAX_NS ? for_ns : MEASURE_MAX_NS);

	if (grpc_call_cancelled(call))
		program_meter_connection_closed(m, connection);
	return on;
}

static int fill_agent(struct manager *m, struct live_reply *r, struct error *e)
{
	Varve__V1__LiveReply *message = &r->message;
	int code = manager_info(m, &r->info, e);

	if (code < 0)
		return code;
	message->time_ns = clock_wall_ns();
	message->version = (char *)VARVE_VERSION;
	message->started_ns = r->info.started_ns;
	message->backend = (char *)usage_backend_name(r->info.backend);
	message->degraded_reason = r->info.degraded_reason ? r->info.degraded_reason : (char *)"";
	message->lost = r->info.lost;
	return 0;
}

static int answer(struct grpc_call *call, struct manager *m, const Varve__V1__LiveRequest *request,
		  struct live_reply *r, struct error *e)
{
	struct live_query q = { .ids = (const char *const *)request->ids,
				.id_count = request->n_ids,
				.filters = (const char *const *)request->filters,
				.filter_count = request->n_filters,
				.layers = request->layers,
				.reverse = request->reverse,
				.skip = request->skip,
				.limit = request->limit,
				.cancelled = grpc_call_cancel_flag(call) };
	int code = request->sort[0] ? live_view_sort_by_name(request->sort, &q.sort, e) : 0;

	if (code == 0 && request->measure_ns > 0)
		r->message.measured = measure(m, call, request->measure_ns);
	if (code == 0)
		code = live_view_take(m, &q, &r->view, e);
	if (code == 0)
		code = fill_rows(r);
	if (code == 0 && request->with_sums) {
		code = take_sums(m, &r->sums, e);
		r->message.sums = &r->sums;
	}
	if (code == 0)
		code = fill_agent(m, r, e);
	if (code == 0 && r->message.measured)
		code = numbers_visit_programs(m, add_program, &r->message);
	return code;
}

static void run_live(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	cleanup(live_reply_free) struct live_reply r = { .rows = NULL };
	struct error e = { 0 };
	int code;

	varve__v1__live_reply__init(&r.message);
	code = answer(call, user, (Varve__V1__LiveRequest *)message, &r, &e);
	service_call_reply(call, code, &r.message.base, &e);
}

/* ---- duplicates ---- */

#define SAMPLE_NS (5 * NS_PER_S)
#define SAMPLE_MAX_NS (60 * NS_PER_S)
#define SAMPLE_BYTES (INT64_C(256) << 20)
#define SAMPLE_MAX_BYTES (INT64_C(16) << 30)

static int64_t choose(int64_t wanted, int64_t usual, int64_t most)
{
	if (wanted <= 0)
		return usual;
	return wanted < most ? wanted : most;
}

static void run_duplicates(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	const Varve__V1__DuplicatesRequest *request = (Varve__V1__DuplicatesRequest *)message;
	cleanup(duplicate_sample_free) struct duplicate_sample sample = { .complete = false };
	Varve__V1__DuplicatesReply reply = VARVE__V1__DUPLICATES_REPLY__INIT;
	Varve__V1__DuplicateFile files[DUPLICATE_SAMPLE_LARGEST];
	Varve__V1__DuplicateFile *pointers[DUPLICATE_SAMPLE_LARGEST];
	struct error e = { 0 };
	int code = duplicate_sample_take(user, choose(request->time_ns, SAMPLE_NS, SAMPLE_MAX_NS),
					 choose(request->bytes, SAMPLE_BYTES, SAMPLE_MAX_BYTES),
					 grpc_call_cancel_flag(call), &sample, &e);

	for (size_t i = 0; i < sample.largest_count; i++) {
		varve__v1__duplicate_file__init(&files[i]);
		files[i].path = sample.largest[i].path;
		files[i].record = sample.largest[i].record;
		files[i].size = sample.largest[i].size_bytes;
		files[i].layers = sample.largest[i].layers;
		pointers[i] = &files[i];
	}
	reply.layers = sample.layers;
	reply.layers_walked = sample.layers_walked;
	reply.files = sample.files;
	reply.hashed_bytes = sample.hashed_bytes;
	reply.duplicate_files = sample.duplicate_files;
	reply.duplicate_bytes = sample.duplicate_bytes;
	reply.complete = sample.complete;
	reply.largest = pointers;
	reply.n_largest = sample.largest_count;
	service_call_reply(call, code, &reply.base, &e);
}

const struct grpc_method live_service_methods[] = {
	{ "/varve.v1.Cache/Duplicates", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__duplicates_request__descriptor,
					   run_duplicates } },
	{ "/varve.v1.Cache/Live", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__live_request__descriptor, run_live } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
