/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/eviction/eviction_candidates.h"

#include <errno.h>
#include <string.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "manager/history/history_forecast.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_lazy.h"
#include "manager/mounts/mount_elsewhere.h"
#include "manager/records/record_list.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_disk.h"

#define LAYER_OWN_INODES 4

static bool is_held(const struct record *r)
{
	return record_is_held(r) || (r->twin && record_is_held(r->twin));
}

static bool is_mounted(const struct record *r)
{
	return r->mount || (r->twin && r->twin->mount) || r->layer->lingering ||
	       r->layer->elsewhere;
}

static bool is_busy(const struct record *r)
{
	return r->busy || r->extractions > 0 || (r->twin && r->twin->busy);
}

bool eviction_candidates_is_free(const struct record *r)
{
	manager_assert_some_locked();
	return r->state == RECORD_LIVE && !is_held(r) && !is_mounted(r) && !is_busy(r) &&
	       !record_is_pinned(r);
}

static enum prune_keep why_kept(const struct manager *m, const struct record *r,
				const struct prune_rule *rule, int64_t last_used_ns, int64_t now_ns)
{
	struct record_facts facts = record_list_facts(m, r, RECORD_SIZE_ON_DISK);
	enum prune_keep keep;

	if (is_held(r))
		return PRUNE_KEEP_HELD;
	if (is_mounted(r))
		return PRUNE_KEEP_MOUNTED;
	keep = prune_rule_keep(rule, &facts, last_used_ns, now_ns);
	if (keep == PRUNE_KEEP_NOT && is_busy(r))
		return PRUNE_KEEP_BUSY;
	return keep == PRUNE_KEEP_NOT && rule->to_lazy && r->layer->lazy ? PRUNE_KEEP_LAZY : keep;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = mix(hash, (unsigned char)*text);
	return mix(hash, 256); /* a value that no byte has ends the text */
}

uint64_t eviction_candidates_fingerprint(const struct record *r)
{
	uint64_t fingerprint = mix(1, (uint64_t)record_last_used_ns(r));

	manager_assert_some_locked();
	fingerprint = mix(fingerprint, record_usage_count(r));
	fingerprint = mix(fingerprint, (uint64_t)r->last_ref_use_ns);
	fingerprint = mix(fingerprint, r->ref_uses);
	fingerprint = mix(fingerprint, (uint64_t)r->layer->allocated_bytes);
	fingerprint = mix(fingerprint, r->layer->upper_changes);
	fingerprint = mix(fingerprint, r->layer->lazy ? 2 : 1);
	fingerprint = mix(fingerprint, r->twin ? 2 : 1);
	for (size_t i = 0; i < r->label_count; i++) /* in the order in which they were set */
		fingerprint = mix_text(mix_text(fingerprint, r->labels[i].key), r->labels[i].value);
	return mix(fingerprint, r->is_mutable ? 2 : 1);
}

struct position {
	const struct record *record;
	size_t index;
};

static int by_record(const void *a, const void *b)
{
	const struct record *x = ((const struct position *)a)->record;
	const struct record *y = ((const struct position *)b)->record;

	return (x > y) - (x < y);
}

/* Parents are immutable and finalized, so that they are listed themselves. With the lock. */
static void link_parents(struct manager *m, struct eviction_candidates *v, bool to_lazy,
			 struct position *positions)
{
	manager_assert_locked(m);
	qsort(positions, v->count, sizeof(*positions), by_record);
	for (size_t i = 0; i < v->count; i++) {
		const struct record *r = positions[i].record;
		struct position key = { .record = r->parent }, *parent = NULL;

		/* A record can lose its files beneath records that have no files either. */
		if (key.record &&
		    !(to_lazy && r->layer->lazy && content_lazy_could_be_made(m, r->parent)))
			parent = bsearch(&key, positions, v->count, sizeof(*positions), by_record);
		v->records[positions[i].index].parent = parent ? parent->index : PRUNE_NO_PARENT;
	}
}

/* Records that share a layer share its size: it becomes free with the last of them. */
static int64_t layer_bytes(const struct record *r)
{
	unsigned owners = r->layer->owners - (r->twin ? 1 : 0);

	return r->layer->lazy ? 0 : r->layer->allocated_bytes / (owners > 1 ? owners : 1);
}

/* Those of the files, and the layer's own: its directory, fs, work, and the link to it. */
static int64_t layer_inodes(const struct record *r)
{
	unsigned owners = r->layer->owners - (r->twin ? 1 : 0);

	return r->layer->lazy ? 0
			      : (r->layer->inodes + LAYER_OWN_INODES) / (owners > 1 ? owners : 1);
}

/* A filter that takes too long to be applied with the lock, and copies of what it matches. */
struct late_filter {
	const struct record_filter *filter; /* NULL: there is none */
	struct record_facts *facts;
	size_t *candidates; /* indexes of the candidates that the facts belong to */
	size_t count;
};

static void late_filter_free(struct late_filter *f)
{
	for (size_t i = 0; i < f->count; i++)
		record_facts_free(&f->facts[i]);
	free(f->facts);
	free(f->candidates);
}
DEFINE_CLEANUP_VALUE(struct late_filter, late_filter_free)

/* All reasons to keep a record but these two come before the filter. */
static bool is_filtered_late(const struct late_filter *f, enum prune_keep keep)
{
	return f->filter &&
	       (keep == PRUNE_KEEP_NOT || keep == PRUNE_KEEP_BUSY || keep == PRUNE_KEEP_LAZY);
}

static int note_late(const struct manager *m, struct late_filter *f, const struct record *r,
		     size_t candidate)
{
	struct record_facts facts = record_list_facts(m, r, RECORD_SIZE_ON_DISK);
	int code = record_facts_copy(&facts, &f->facts[f->count]);

	if (code < 0)
		return code;
	f->candidates[f->count++] = candidate;
	return 0;
}

/* Without the lock. */
static int apply_late(struct manager *m, const struct late_filter *f, struct eviction_candidates *v,
		      int64_t now_ns, const atomic_bool *cancelled, struct error *e)
{
	manager_assert_unlocked(m);
	for (size_t i = 0; i < f->count; i++) {
		size_t candidate = f->candidates[i];
		struct prune_record *p = &v->records[candidate];

		if (is_cancelled(cancelled))
			return cancellation_check(cancelled, e);
		if (record_facts_match(&f->facts[i], f->filter, now_ns))
			continue;
		if (!p->shared) {
			v->kept_bytes[v->kept[candidate]] -= p->size_bytes;
			v->kept_bytes[PRUNE_KEEP_FILTERED] += p->size_bytes;
		}
		v->kept[candidate] = PRUNE_KEEP_FILTERED;
		p->evictable = false;
	}
	return 0;
}

/* A layer without a past is judged by its counts. */
static void forecast(struct manager *m, const struct record *r, struct prune_record *p,
		     int64_t now_ns, struct history_forecast *expected)
{
	prune_score_forecast(&prune_scorer_forecast, p, now_ns);
	*expected = (struct history_forecast){ .need_rate = p->need_rate };
	if (!history_forecast_of(m, r->layer->name, now_ns, expected))
		return;
	p->need_rate = expected->need_rate;
	p->seconds = expected->cost_s;
	p->kept_longer = expected->kept_longer;
}

void eviction_candidates_measure(struct manager *m, const struct record *r,
				 const struct prune_scorer *scorer, bool falls_back, int64_t now_ns,
				 struct history_forecast *ret_expected,
				 struct prune_record *ret_record)
{
	bool uses_refs = scorer->uses_refs;

	manager_assert_locked(m);
	*ret_record = (struct prune_record){
		.parent = PRUNE_NO_PARENT,
		.created_ns = r->created_ns,
		.last_used_ns = uses_refs ? r->last_ref_use_ns : record_last_used_ns(r),
		.usage_count = uses_refs ? r->ref_uses : record_usage_count(r),
		.size_bytes = layer_bytes(r) + (falls_back ? 0 : content_blobs_size(m, r)),
		.inodes = layer_inodes(r),
		.cheap = falls_back,
		.shared = r->shared,
	};
	if (scorer->by_blocks)
		forecast(m, r, ret_record, now_ns, ret_expected);
}

static void add_record(struct manager *m, struct eviction_candidates *v, const struct record *r,
		       const struct prune_rule *rule, int64_t now_ns)
{
	int64_t blob_bytes = content_blobs_size(m, r);
	bool falls_back = rule->to_lazy && content_lazy_could_be_made(m, r);
	struct prune_record *p = &v->records[v->count];
	enum prune_keep *kept = &v->kept[v->count];

	memcpy(v->ids[v->count], r->id, sizeof(r->id));
	v->fingerprints[v->count] = eviction_candidates_fingerprint(r);
	eviction_candidates_measure(m, r, rule->scorer, falls_back, now_ns, &v->expected[v->count],
				    p);
	p->id = v->ids[v->count];
	*kept = why_kept(m, r, rule, p->last_used_ns, now_ns);
	p->evictable = *kept == PRUNE_KEEP_NOT;
	if (!p->shared) {
		v->used_bytes += p->size_bytes;
		v->disk.store_inodes += p->inodes;
		v->kept_bytes[*kept] += p->size_bytes;
		v->fixed_bytes += falls_back ? blob_bytes : 0;
	}
	v->count++;
}

static int make_room(struct eviction_candidates *v, struct late_filter *late, size_t room)
{
	v->records = calloc(room, sizeof(*v->records));
	v->ids = calloc(room, sizeof(*v->ids));
	v->kept = calloc(room, sizeof(*v->kept));
	v->fingerprints = calloc(room, sizeof(*v->fingerprints));
	v->expected = calloc(room, sizeof(*v->expected));
	if (late->filter) {
		late->facts = calloc(room, sizeof(*late->facts));
		late->candidates = calloc(room, sizeof(*late->candidates));
	}
	if (!v->records || !v->ids || !v->kept || !v->fingerprints || !v->expected ||
	    (late->filter && (!late->facts || !late->candidates)))
		return -ENOMEM;
	return 0;
}

static int gather(struct manager *m, const struct prune_rule *rule, struct late_filter *late,
		  int64_t now_ns, const atomic_bool *cancelled, struct eviction_candidates *v)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	size_t room = record_graph_count(locked->graph) + 1, at = 0;
	cleanup(free_ptr) struct position *positions = calloc(room, sizeof(*positions));
	struct record *r;

	if (!positions || make_room(v, late, room) < 0 ||
	    record_refs_mark_shared(m->graph, m->leases) < 0)
		return -ENOMEM;
	record_refs_mark_in_use(m->graph);
	if (rule->scorer->by_blocks)
		history_forecast_count_idle(m, now_ns);
	while (!is_cancelled(cancelled) && (r = record_graph_next(m->graph, &at))) {
		if (!record_is_listed(r))
			continue;
		positions[v->count] = (struct position){ .record = r, .index = v->count };
		add_record(m, v, r, rule, now_ns);
		if (is_filtered_late(late, v->kept[v->count - 1]) &&
		    note_late(m, late, r, v->count - 1) < 0)
			return -ENOMEM;
	}
	v->used_bytes += v->fixed_bytes;
	link_parents(m, v, rule->to_lazy, positions);
	return 0;
}

int eviction_candidates_gather(struct manager *m, const struct prune_rule *rule,
			       const atomic_bool *cancelled,
			       struct eviction_candidates *ret_candidates, struct error *e)
{
	cleanup(eviction_candidates_free) struct eviction_candidates v = { .disk = store_disk_read(
										   m) };
	cleanup(late_filter_free) struct late_filter late = { .filter = NULL };
	struct prune_rule early = *rule;
	int64_t now = clock_wall_ns();
	int code;

	manager_assert_unlocked(m);
	if (rule->filter && !record_filter_is_cheap(rule->filter)) {
		late.filter = rule->filter;
		early.filter = NULL;
	}
	mount_elsewhere_find(m);
	code = gather(m, &early, &late, now, cancelled, &v);
	if (code < 0)
		return error_set(e, code, "out of memory to list the candidates");
	code = cancellation_check(cancelled, e);
	if (code < 0)
		return code;
	code = apply_late(m, &late, &v, now, cancelled, e);
	if (code < 0)
		return code;
	*ret_candidates = v;
	v = (struct eviction_candidates){ 0 };
	return 0;
}

void eviction_candidates_free(struct eviction_candidates *v)
{
	free(v->records);
	free(v->ids);
	free(v->kept);
	free(v->fingerprints);
	free(v->expected);
	*v = (struct eviction_candidates){ 0 };
}
