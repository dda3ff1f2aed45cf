/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_feed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/visible_text.h"
#include "cli/cli_records.h"
#include "cli/top/top_text.h"

/* Ordering and adding up take at most this share of the agent's time. */
#define COST_SHARE 100
#define SUMS_NS (5 * NS_PER_S)
#define SLOW_NS (10 * NS_PER_S)
#define OWNERS_NS (30 * NS_PER_S)
#define FILES_MAX 500

/* ---- an agent that goes away ---- */

static bool is_away(int code)
{
	return code == -ECONNRESET || code == -ECONNREFUSED || code == -ENOENT || code == -EPIPE ||
	       code == -ETIMEDOUT || code == -ECONNABORTED || code == -ESHUTDOWN;
}

/* True: the agent is away, and the next call connects again. */
static bool note_away(struct top_feed *f, struct top_state *s, int code, const struct error *e)
{
	if (!f->was_there || !is_away(code))
		return false;
	grpc_client_free(f->cli->client);
	f->cli->client = NULL;
	f->cli->exit = CLI_EXIT_DONE;
	if (!s->away_ns)
		s->away_ns = clock_wall_ns();
	(void)snprintf(s->away_why, sizeof(s->away_why), "%.250s", e->text);
	s->program_share = -1;
	f->program_time_ns = 0;
	return true;
}

static void note_there(struct top_feed *f, struct top_state *s)
{
	char clock[TOP_TEXT_MAX];

	f->was_there = true;
	if (!s->away_ns)
		return;
	(void)snprintf(s->notice, sizeof(s->notice), "the agent is back; it was away since %s",
		       top_text_clock(s->away_ns, clock));
	s->away_ns = 0;
}

/* ---- records, layers and the header ---- */

static void note_programs(struct top_feed *f, struct top_state *s, const Varve__V1__LiveReply *live)
{
	bool known =
		live->measured && f->program_time_ns && f->program_started_ns == live->started_ns &&
		live->time_ns > f->program_time_ns && live->program_run_ns >= f->program_run_ns;

	s->program_share = known ? (double)(live->program_run_ns - f->program_run_ns) /
					   (double)(live->time_ns - f->program_time_ns)
				 : -1;
	f->program_time_ns = live->measured ? live->time_ns : 0;
	f->program_started_ns = live->started_ns;
	f->program_run_ns = live->program_run_ns;
}

static int64_t later(int64_t now_ns, int64_t at_least_ns, int64_t cost_ns)
{
	int64_t share_ns = COST_SHARE * cost_ns;

	return now_ns + (share_ns > at_least_ns ? share_ns : at_least_ns);
}

static bool shows_records(const struct top_state *s)
{
	return s->view == TOP_RECORDS || s->view == TOP_LAYERS;
}

/* The rows that are shown; with `ids` those that were. */
static void fill_rows(const struct top_feed *f, const struct top_state *s, bool order, char **ids,
		      char **filter, Varve__V1__LiveRequest *request)
{
	if (!shows_records(s))
		return;
	if (!order) {
		for (size_t i = 0; i < s->live->n_rows; i++)
			ids[i] = s->live->rows[i]->id;
		request->ids = ids;
		request->n_ids = s->live->n_rows;
		return;
	}
	request->layers = s->view == TOP_LAYERS;
	request->sort = (char *)top_state_sorts[s->sort];
	request->reverse = s->reverse;
	request->skip = (uint32_t)s->first;
	request->limit = (uint32_t)f->rows;
	if (s->filter[0]) {
		*filter = (char *)s->filter;
		request->filters = filter;
		request->n_filters = 1;
	}
}

static int ask_live(struct top_feed *f, struct top_state *s, bool all, struct error *e)
{
	Varve__V1__LiveRequest request = VARVE__V1__LIVE_REQUEST__INIT;
	int64_t now_ns = clock_monotonic_ns();
	bool order = all || !s->live || s->live->n_rows == 0 || now_ns >= f->order_ns;
	cleanup(free_ptr) char **ids = calloc(s->live ? s->live->n_rows + 1 : 1, sizeof(*ids));
	uint64_t matching = s->live ? s->live->matching : 0;
	Varve__V1__LiveReply *live;
	char *filter = NULL;

	if (!ids)
		return error_set(e, -ENOMEM, "out of memory");
	fill_rows(f, s, order, ids, &filter, &request);
	request.with_sums = !s->sums || now_ns >= f->sums_ns;
	request.measure_ns = 3 * f->interval_ns + 10 * NS_PER_S;
	live = cli_call_one(f->cli, "Live", &request.base, &varve__v1__live_reply__descriptor, e);
	if (!live)
		return e->code;
	if (order)
		f->order_ns = later(now_ns, 0, live->order_cost_ns);
	else
		live->matching = matching;
	if (live->sums)
		f->sums_ns = later(now_ns, SUMS_NS, live->sums->cost_ns);
	note_programs(f, s, live);
	top_state_take_live(s, live);
	return 0;
}

/* ---- what changes slowly ---- */

/* Asks for a single message, if it is due. */
static int ask_slow(struct top_feed *f, const char *method, const ProtobufCMessage *request,
		    const ProtobufCMessageDescriptor *type, int64_t *due_ns, int64_t every_ns,
		    void **message, struct error *e)
{
	int64_t now_ns = clock_monotonic_ns();
	void *reply;

	if (now_ns < *due_ns)
		return 0;
	*due_ns = now_ns + every_ns;
	reply = cli_call_one(f->cli, method, request, type, e);
	if (!reply)
		return e->code;
	if (*message)
		protobuf_c_message_free_unpacked(*message, NULL);
	*message = reply;
	return 0;
}

static int ask_policies(struct top_feed *f, struct top_state *s, struct error *e)
{
	Varve__V1__PolicyRequest policies = VARVE__V1__POLICY_REQUEST__INIT;
	Varve__V1__RegretRequest regret = VARVE__V1__REGRET_REQUEST__INIT;
	int code;

	policies.as_known = true; /* a live view walks no layer */
	code = ask_slow(f, "PolicyList", &policies.base, &varve__v1__policy_reply__descriptor,
			&f->policies_ns, SLOW_NS, (void **)&s->policies, e);
	if (code < 0)
		return code;
	regret.as_written = true;
	return ask_slow(f, "Regret", &regret.base, &varve__v1__regret_reply__descriptor,
			&f->regrets_ns, OWNERS_NS, (void **)&s->regrets, e);
}

static int ask_files(struct top_feed *f, struct top_state *s, struct error *e)
{
	Varve__V1__FilesRequest request = VARVE__V1__FILES_REQUEST__INIT;
	struct cli_replies files = { 0 };
	int code;

	/* The agent walks the layer for them: once, and again when asked to. */
	if (!s->files_id[0] || s->files_ns)
		return 0;
	request.id = s->files_id;
	request.hot = true;
	request.limit = FILES_MAX;
	code = cli_call_all(f->cli, "Files", &request.base, &varve__v1__file_batch__descriptor,
			    &files, e);
	if (code < 0)
		return code;
	cli_call_free_replies(&s->files);
	s->files = files;
	s->files_ns = clock_wall_ns();
	return 0;
}

/* Forgets the oldest batches as far as enough events are left. */
static void keep_events(struct cli_replies *more)
{
	size_t count = 0, first;

	for (first = more->count; first > 0 && count < TOP_EVENTS; first--)
		count += ((Varve__V1__EventBatch *)more->items[first - 1])->n_events;
	for (size_t i = 0; i < first; i++) {
		protobuf_c_message_free_unpacked(more->items[i], NULL);
		more->items[i] = NULL;
	}
	if (more->count > first) {
		memmove(more->items, more->items + first,
			(more->count - first) * sizeof(*more->items));
		more->count -= first;
	}
}

static int ask_events(struct top_feed *f, struct top_state *s, struct error *e)
{
	Varve__V1__EventsRequest request = VARVE__V1__EVENTS_REQUEST__INIT;
	int64_t now_ns = clock_monotonic_ns();
	struct cli_replies events = { 0 };
	int code;

	if (now_ns < f->events_ns)
		return 0;
	f->events_ns = now_ns + SLOW_NS;
	code = cli_call_all(f->cli, "Events", &request.base, &varve__v1__event_batch__descriptor,
			    &events, e);
	if (code < 0)
		return code;
	keep_events(&events);
	cli_call_free_replies(&s->events);
	s->events = events;
	return 0;
}

static int ask_view(struct top_feed *f, struct top_state *s, struct error *e)
{
	Varve__V1__ReadersRequest readers = VARVE__V1__READERS_REQUEST__INIT;
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;

	switch (s->view) {
	case TOP_FILES:
		return ask_files(f, s, e);
	case TOP_WHO:
		return ask_slow(f, "Readers", &readers.base, &varve__v1__readers_reply__descriptor,
				&f->readers_ns, SLOW_NS, (void **)&s->readers, e);
	case TOP_OWNERS:
		return ask_slow(f, "Owners", &empty.base, &varve__v1__owners_reply__descriptor,
				&f->owners_ns, OWNERS_NS, (void **)&s->owners, e);
	case TOP_EVICTION:
		return ask_events(f, s, e);
	default:
		return 0;
	}
}

int top_feed_tick(struct top_feed *f, struct top_state *s, bool all, struct error *e)
{
	int code = ask_live(f, s, all, e);

	if (code == 0)
		note_there(f, s);
	if (code == 0)
		code = ask_policies(f, s, e);
	if (code == 0)
		code = ask_view(f, s, e);
	if (code < 0 && note_away(f, s, code, e))
		return 0;
	return code;
}

/* ---- one record ---- */

/* What could not be had is a notice, and not the end. */
void top_feed_refuse(struct top_feed *f, struct top_state *s, int code, const struct error *e)
{
	if (!note_away(f, s, code, e))
		(void)snprintf(s->notice, sizeof(s->notice), "%.250s", e->text);
	f->cli->exit = CLI_EXIT_DONE;
}

static Varve__V1__ExplainReply *ask_why(struct top_feed *f, struct top_state *s, struct error *e)
{
	Varve__V1__IdRequest request = VARVE__V1__ID_REQUEST__INIT;

	request.id = s->selected_id;
	return cli_call_one(f->cli, "Explain", &request.base, &varve__v1__explain_reply__descriptor,
			    e);
}

/* A line of a page: texts from outside must not begin another one. */
static void field(struct strbuf *out, const char *name, const char *value)
{
	strbuf_appendf(out, "%-13s ", name);
	visible_text_append(out, value, true);
	strbuf_append(out, "\n");
}

static void write_why(struct strbuf *out, const Varve__V1__ExplainReply *why)
{
	field(out, "eviction:", why->why);
	if (!why->kept && why->places > 0)
		strbuf_appendf(out, "%-13s %" PRIu64 " of %" PRIu64 " in the order of eviction\n",
			       "place:", why->place, why->places);
	if (why->policy[0])
		field(out, "policies:", why->policy);
}

void top_feed_explain(struct top_feed *f, struct top_state *s)
{
	cleanup(strbuf_free) struct strbuf page = { 0 };
	struct error e = { 0 };
	cleanup(free_reply) Varve__V1__ExplainReply *why = ask_why(f, s, &e);

	if (!why) {
		top_feed_refuse(f, s, e.code, &e);
		return;
	}
	field(&page, "record:", why->id);
	write_why(&page, why);
	top_state_show_page(s, &page);
}

static void write_lists(struct strbuf *out, const Varve__V1__Record *r)
{
	for (size_t i = 0; i < r->n_image_refs; i++)
		field(out, "image:", r->image_refs[i]);
	for (size_t i = 0; i < r->n_parents; i++)
		field(out, "parent:", r->parents[i]);
	for (size_t i = 0; i < r->n_holds; i++)
		field(out, "lease:", r->holds[i]->lease);
	for (size_t i = 0; i < r->n_labels; i++) {
		cleanup(strbuf_free) struct strbuf label = { 0 };

		strbuf_appendf(&label, "%s=%s", r->labels[i]->key, r->labels[i]->value);
		field(out, "label:", label.text ? label.text : "");
	}
	for (size_t i = 0; i < r->n_owners; i++) {
		cleanup(strbuf_free) struct strbuf owner = { 0 };

		strbuf_appendf(&owner, "%s %s", r->owners[i]->owner, r->owners[i]->id);
		field(out, "owner:", owner.text ? owner.text : "");
	}
}

static void write_record(struct strbuf *out, const Varve__V1__Record *r, int64_t now_ns)
{
	char size[UNITS_TEXT_MAX], age[UNITS_TEXT_MAX];

	field(out, "record:", r->id);
	field(out, "description:", r->description);
	strbuf_appendf(out, "%-13s %s%s%s%s\n", "kind:",
		       r->snapshot_kind[0] ? r->snapshot_kind
		       : r->mutable_	   ? "mutable"
		       : r->lazy	   ? "lazy"
					   : "immutable",
		       r->in_use ? ", in use" : "", r->pinned ? ", pinned" : "",
		       r->shared ? ", shared" : "");
	field(out, "layer:", r->layer);
	field(out, "size:", r->size >= 0 ? units_format_size(r->size, size) : "not known");
	field(out, "created:", units_format_age(r->created_ns, now_ns, age));
	strbuf_appendf(out, "%-13s %s, %" PRId64 " use%s\n",
		       "last used:", units_format_age(r->last_used_ns, now_ns, age), r->usage_count,
		       r->usage_count == 1 ? "" : "s");
	if (cli_records_access_known(r))
		strbuf_appendf(out, "%-13s %" PRIu64 " opens, %" PRIu64 " reads, %s\n",
			       "read:", r->access->opens, r->access->reads,
			       units_format_size((int64_t)r->access->read_bytes, size));
	if (r->mountpoint[0])
		field(out, "mounted:", r->mountpoint);
	write_lists(out, r);
}

static int write_readers(struct top_feed *f, struct top_state *s, struct strbuf *out,
			 int64_t now_ns, struct error *e)
{
	Varve__V1__ReadersRequest request = VARVE__V1__READERS_REQUEST__INIT;
	cleanup(free_reply) Varve__V1__ReadersReply *readers = NULL;
	char *id = s->selected_id, size[UNITS_TEXT_MAX], age[UNITS_TEXT_MAX];

	request.ids = &id;
	request.n_ids = 1;
	readers = cli_call_one(f->cli, "Readers", &request.base,
			       &varve__v1__readers_reply__descriptor, e);
	if (!readers)
		return e->code;
	for (size_t i = 0; i < readers->n_readers; i++) {
		const Varve__V1__Reader *r = readers->readers[i];

		cleanup(strbuf_free) struct strbuf text = { 0 };

		strbuf_appendf(&text, "%s%s: %s, %s", r->reader[0] ? r->reader : "other",
			       r->upkeep ? " (upkeep)" : "",
			       units_format_size((int64_t)r->read_bytes, size),
			       units_format_age(r->last_read_ns, now_ns, age));
		field(out, "read by:", text.text ? text.text : "");
	}
	return 0;
}

void top_feed_detail(struct top_feed *f, struct top_state *s)
{
	cleanup(cli_records_free) struct cli_records records = { 0 };
	cleanup(strbuf_free) struct strbuf page = { 0 };
	Varve__V1__ListRequest request = VARVE__V1__LIST_REQUEST__INIT;
	cleanup(free_reply) Varve__V1__ExplainReply *why = NULL;
	char *id = s->selected_id;
	struct error e = { 0 };
	int code;

	request.ids = &id;
	request.n_ids = 1;
	code = cli_records_fetch(f->cli, &request, &records, &e);
	if (code == 0 && records.count > 0) {
		write_record(&page, records.items[0], clock_wall_ns());
		code = write_readers(f, s, &page, clock_wall_ns(), &e);
	}
	if (code == 0) {
		why = ask_why(f, s, &e);
		code = why ? 0 : e.code;
	}
	if (code < 0) {
		top_feed_refuse(f, s, code, &e);
		return;
	}
	strbuf_append(&page, "\n");
	write_why(&page, why);
	top_state_show_page(s, &page);
}

static bool is_pinned(const struct top_state *s)
{
	for (size_t i = 0; s->live && i < s->live->n_rows; i++)
		if (strcmp(s->live->rows[i]->id, s->selected_id) == 0)
			return s->live->rows[i]->pinned;
	return false;
}

void top_feed_pin(struct top_feed *f, struct top_state *s)
{
	Varve__V1__PinRequest request = VARVE__V1__PIN_REQUEST__INIT;
	cleanup(free_reply) Varve__V1__IdReply *reply = NULL;
	struct error e = { 0 };

	request.id = s->selected_id;
	request.pinned = !is_pinned(s);
	reply = cli_call_one(f->cli, "Pin", &request.base, &varve__v1__id_reply__descriptor, &e);
	if (!reply) {
		top_feed_refuse(f, s, e.code, &e);
		return;
	}
	(void)snprintf(s->notice, sizeof(s->notice), "%s %.12s",
		       request.pinned ? "pinned" : "unpinned", s->selected_id);
}
