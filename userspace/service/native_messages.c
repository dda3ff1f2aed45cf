/* SPDX-License-Identifier: Apache-2.0 */
#include "service/native_messages.h"

#include <string.h>

#include "graph/record_graph.h"

/*
 * protobuf-c frees a message as unpacking would have made it, so everything here is allocated the
 * same way. A failed allocation leaves a gap; `failed` says so once, at the end.
 */
struct build {
	bool failed;
};

static char *copy_text(struct build *b, const char *text)
{
	char *copy = strdup(text ? text : "");

	b->failed |= !copy;
	return copy;
}

static void *allocate(struct build *b, size_t count, size_t size)
{
	void *memory = calloc(count + 1, size);

	b->failed |= !memory;
	return memory;
}

/* A new message of the type that `init` initialises; NULL is remembered. */
#define NEW_MESSAGE(b, type, init)                                 \
	({                                                         \
		type *new_message_ = allocate(b, 1, sizeof(type)); \
		if (new_message_)                                  \
			init(new_message_);                        \
		new_message_;                                      \
	})

void native_messages_free(ProtobufCMessage *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

/* Freeing a half-built message would meet its gaps, so the message leaks. The process is out of
 * memory then, and the leak is at most one batch. */
static void *finish(const struct build *b, void *message)
{
	return b->failed ? NULL : message;
}

static char **copy_texts(struct build *b, char *const *texts, size_t count)
{
	char **copies = allocate(b, count, sizeof(char *));

	for (size_t i = 0; copies && i < count; i++)
		copies[i] = copy_text(b, texts[i]);
	return copies;
}

static Varve__V1__Hold **copy_holds(struct build *b, const struct hold_view *holds, size_t count)
{
	Varve__V1__Hold **copies = allocate(b, count, sizeof(Varve__V1__Hold *));

	for (size_t i = 0; copies && i < count; i++) {
		copies[i] = NEW_MESSAGE(b, Varve__V1__Hold, varve__v1__hold__init);
		if (!copies[i])
			continue;
		copies[i]->lease = copy_text(b, holds[i].name);
		copies[i]->refs = holds[i].refs;
	}
	return copies;
}

static Varve__V1__IdMap *make_id_map(struct build *b, const struct id_map *map)
{
	Varve__V1__IdMap *m = NULL;

	if (id_map_is_set(map) && (m = NEW_MESSAGE(b, Varve__V1__IdMap, varve__v1__id_map__init))) {
		m->uids = copy_text(b, map->uids);
		m->gids = copy_text(b, map->gids);
	}
	return m;
}

/* Of what is not counted, the numbers are unknown. */
static const char *choose_backend(bool uncounted, const char *backend)
{
	return uncounted ? usage_backend_name(USAGE_BACKEND_NONE) : backend;
}

static Varve__V1__Upkeep *make_upkeep(struct build *b, const struct layer_upkeep *from)
{
	Varve__V1__Upkeep *upkeep = NEW_MESSAGE(b, Varve__V1__Upkeep, varve__v1__upkeep__init);

	if (!upkeep)
		return NULL;
	upkeep->opens = from->opens;
	upkeep->reads = from->reads;
	upkeep->read_bytes = from->read_bytes;
	upkeep->last_read_ns = from->last_ns;
	return upkeep;
}

static Varve__V1__Access *make_access(struct build *b, const struct layer_access *a,
				      const char *backend)
{
	Varve__V1__Access *access = NEW_MESSAGE(b, Varve__V1__Access, varve__v1__access__init);

	if (!access)
		return NULL;
	access->opens = a->counts.counters[USAGE_OPENS];
	access->reads = a->counts.counters[USAGE_READS];
	access->read_bytes = a->counts.counters[USAGE_READ_BYTES];
	access->last_read_ns = a->when.last_ns;
	access->last_written_ns = a->when.last_write_ns;
	access->backend = copy_text(b, backend);
	access->upkeep = make_upkeep(b, &a->counts.upkeep);
	return access;
}

static void set_labels(struct build *b, Varve__V1__Record *to, const struct record *from)
{
	to->n_labels = from->label_count;
	to->labels = allocate(b, from->label_count, sizeof(*to->labels));
	for (size_t i = 0; to->labels && i < from->label_count; i++) {
		to->labels[i] = NEW_MESSAGE(b, Varve__V1__Record__LabelsEntry,
					    varve__v1__record__labels_entry__init);
		if (!to->labels[i])
			continue;
		to->labels[i]->key = copy_text(b, from->labels[i].key);
		to->labels[i]->value = copy_text(b, from->labels[i].value);
	}
	to->n_image_refs = from->image_ref_count;
	to->image_refs = copy_texts(b, from->image_refs, from->image_ref_count);
}

/* A size that is unknown or stale is -1. */
static int64_t known(const struct record_view *v, int64_t size)
{
	return v->size_known ? size : -1;
}

static Varve__V1__Blob *make_blob(struct build *b, const struct record_view *v)
{
	const struct record_content *c = v->record.content;
	Varve__V1__Blob *m = c ? NEW_MESSAGE(b, Varve__V1__Blob, varve__v1__blob__init) : NULL;

	if (!m)
		return NULL;
	m->digest = copy_text(b, c->blob.text);
	m->media_type = copy_text(b, c->media_type);
	m->size = c->size_bytes;
	m->diff_id = copy_text(b, c->diff_id.text);
	m->blob_chain_id = copy_text(b, c->blob_chain_id.text);
	m->here = v->blob_here;
	m->registry = copy_text(b, c->registry);
	m->repository = copy_text(b, c->repository);
	return m;
}

static void set_expected(struct build *b, Varve__V1__Record *m, const struct history_forecast *x)
{
	char text[HISTORY_FORECAST_TEXT];

	if (!(x->need_rate > 0))
		return;
	history_forecast_explain(x, text);
	m->cost_s = x->cost_s;
	m->needed_again_s = 1 / x->need_rate;
	m->kept_longer = x->kept_longer;
	m->needed_again = copy_text(b, text);
}

static Varve__V1__Record *make_record(struct build *b, const struct record_view *v,
				      const char *backend)
{
	Varve__V1__Record *m = NEW_MESSAGE(b, Varve__V1__Record, varve__v1__record__init);
	const struct record *r = &v->record;
	struct record counted = *r; /* the view has a copy of the layer */

	if (!m)
		return NULL;
	counted.layer = (struct layer *)&v->layer;
	m->id = copy_text(b, r->id);
	m->n_parents = *v->parent ? 1 : 0;
	m->parents = copy_texts(b, (char *const[]){ (char *)v->parent }, m->n_parents);
	m->mutable_ = r->is_mutable;
	m->in_use = v->in_use;
	m->size = v->size_bytes;
	m->lazy = v->layer.lazy;
	m->blob = make_blob(b, v);
	m->apparent_size = known(v, v->layer.apparent_bytes);
	m->inodes = known(v, v->layer.inodes);
	set_expected(b, m, &v->expected);
	m->created_ns = r->created_ns;
	m->last_used_ns = record_last_used_ns(&counted);
	m->usage_count = (int64_t)record_usage_count(&counted);
	m->ref_usage_count = (int64_t)r->ref_uses;
	m->ref_last_used_ns = r->last_ref_use_ns;
	m->description = copy_text(b, r->description);
	m->record_type = copy_text(b, r->type);
	m->chain_id = copy_text(b, r->content ? r->content->chain_id.text : "");
	m->shared = r->shared || v->images_share;
	m->pinned = r->pinned;
	m->retain = r->retain;
	m->twin = copy_text(b, v->twin);
	m->layer = copy_text(b, v->layer.name);
	m->mountpoint = copy_text(b, v->mountpoint);
	m->mounted_read_only = v->mounted_read_only;
	m->id_map = make_id_map(b, &r->id_map);
	m->mount_id_map = make_id_map(b, &v->mount_id_map);
	m->access = make_access(b, &v->access, choose_backend(v->uncounted, backend));
	set_labels(b, m, r);
	m->n_holds = v->hold_count;
	m->holds = copy_holds(b, v->holds, v->hold_count);
	m->n_children = v->child_count;
	m->children = copy_texts(b, v->children, v->child_count);
	m->snapshot_key = copy_text(b, v->snapshot_key);
	m->snapshot_kind = copy_text(b, v->snapshot_kind);
	return m;
}

Varve__V1__RecordBatch *native_messages_records(const struct record_view *views, size_t count,
						const char *backend)
{
	struct build b = { 0 };
	Varve__V1__RecordBatch *batch =
		NEW_MESSAGE(&b, Varve__V1__RecordBatch, varve__v1__record_batch__init);

	if (!batch)
		return NULL;
	batch->n_records = count;
	batch->records = allocate(&b, count, sizeof(*batch->records));
	for (size_t i = 0; batch->records && i < count; i++)
		batch->records[i] = make_record(&b, &views[i], backend);
	return finish(&b, batch);
}

/* Counters and the numbers of their fields in varve.v1.Stats. */
static uint32_t unseen_fields(enum usage_backend backend, uint32_t unseen,
			      const struct layer_access *access)
{
	static const unsigned fields[USAGE_COUNTER_COUNT] = {
		[USAGE_OPENS] = 2,	[USAGE_EXECS] = 3,
		[USAGE_READS] = 4,	[USAGE_READ_BYTES] = 5,
		[USAGE_WRITES] = 6,	[USAGE_WRITTEN_BYTES] = 7,
		[USAGE_MMAPS] = 8,	[USAGE_STATS] = 9,
		[USAGE_COPY_UPS] = 10,	[USAGE_COPIED_UP_BYTES] = 11,
		[USAGE_READLINKS] = 20, [USAGE_MAPPED_BYTES] = 28,
	};
	uint32_t bits = 0;

	for (unsigned i = 0; i < USAGE_COUNTER_COUNT; i++)
		if (unseen & 1U << i)
			bits |= 1U << fields[i];
	if (backend == USAGE_BACKEND_NONE)
		bits |= 1U << 12; /* files touched */
	/* "Never" would be a claim. */
	if (backend == USAGE_BACKEND_NONE && !access->when.first_ns)
		bits |= 1U << 13 | 1U << 14; /* first and last access */
	return bits & ~1U; /* upper changes have no field */
}

static Varve__V1__Stats *make_stats(struct build *b, const struct record_statistics_view *v,
				    const struct manager_info *info)
{
	enum usage_backend backend = v->uncounted ? USAGE_BACKEND_NONE : info->backend;
	uint32_t unseen = v->uncounted ? USAGE_ALL_COUNTERS : info->unseen_counters;
	Varve__V1__Stats *m = NEW_MESSAGE(b, Varve__V1__Stats, varve__v1__stats__init);
	const uint64_t *n = v->access.counts.counters;

	if (!m)
		return NULL;
	m->id = copy_text(b, v->id);
	m->opens = n[USAGE_OPENS];
	m->execs = n[USAGE_EXECS];
	m->reads = n[USAGE_READS];
	m->read_bytes = n[USAGE_READ_BYTES];
	m->writes = n[USAGE_WRITES];
	m->written_bytes = n[USAGE_WRITTEN_BYTES];
	m->mmaps = n[USAGE_MMAPS];
	m->mapped_bytes = n[USAGE_MAPPED_BYTES];
	m->stats = n[USAGE_STATS];
	m->readlinks = n[USAGE_READLINKS];
	m->copy_ups = n[USAGE_COPY_UPS];
	m->copied_up_bytes = n[USAGE_COPIED_UP_BYTES];
	m->files_touched = v->files_touched;
	m->files_complete_since_ns = v->complete_since_ns;
	m->first_access_ns = v->access.when.first_ns;
	m->last_access_ns = v->access.when.last_ns;
	m->last_written_ns = v->access.when.last_write_ns;
	m->backend = copy_text(b, usage_backend_name(backend));
	m->lost = info->lost;
	m->mount = v->mount_id;
	m->layer = v->layer_index;
	m->mountpoint = copy_text(b, v->mountpoint);
	m->size = v->size_bytes;
	m->description = copy_text(b, v->description);
	m->unseen = unseen_fields(backend, unseen, &v->access);
	m->upkeep = make_upkeep(b, &v->access.counts.upkeep);
	m->snapshot_key = copy_text(b, v->snapshot_key);
	m->snapshot_kind = copy_text(b, v->snapshot_kind);
	return m;
}

static Varve__V1__Reader *make_reader(struct build *b, const struct record_reader_view *v)
{
	Varve__V1__Reader *m = NEW_MESSAGE(b, Varve__V1__Reader, varve__v1__reader__init);

	if (!m)
		return NULL;
	m->reader = copy_text(b, v->reader);
	m->upkeep = v->upkeep;
	m->layers = v->layers;
	m->opens = v->opens;
	m->reads = v->reads;
	m->read_bytes = v->read_bytes;
	m->first_read_ns = v->first_ns;
	m->last_read_ns = v->last_ns;
	return m;
}

Varve__V1__ReadersReply *native_messages_readers(const struct record_reader_view *readers,
						 size_t count, enum usage_backend backend)
{
	struct build b = { 0 };
	Varve__V1__ReadersReply *reply =
		NEW_MESSAGE(&b, Varve__V1__ReadersReply, varve__v1__readers_reply__init);

	if (!reply)
		return NULL;
	reply->counted = backend != USAGE_BACKEND_NONE;
	reply->n_readers = count;
	reply->readers = allocate(&b, count, sizeof(*reply->readers));
	for (size_t i = 0; reply->readers && i < count; i++)
		reply->readers[i] = make_reader(&b, &readers[i]);
	return finish(&b, reply);
}

Varve__V1__StatsBatch *native_messages_stats(const struct record_statistics_view *stats,
					     size_t count, const struct manager_info *info)
{
	struct build b = { 0 };
	Varve__V1__StatsBatch *batch =
		NEW_MESSAGE(&b, Varve__V1__StatsBatch, varve__v1__stats_batch__init);

	if (!batch)
		return NULL;
	batch->n_stats = count;
	batch->stats = allocate(&b, count, sizeof(*batch->stats));
	for (size_t i = 0; batch->stats && i < count; i++)
		batch->stats[i] = make_stats(&b, &stats[i], info);
	return finish(&b, batch);
}

Varve__V1__FileBatch *native_messages_files(const struct record_file_list *list, size_t first,
					    size_t count)
{
	const struct record_file_view *files = count ? &list->files[first] : NULL;
	struct build b = { 0 };
	Varve__V1__FileBatch *batch =
		NEW_MESSAGE(&b, Varve__V1__FileBatch, varve__v1__file_batch__init);

	if (!batch)
		return NULL;
	batch->lost = list->lost;
	batch->complete_since_ns = list->complete_since_ns;
	batch->mapped_unseen = !list->sees_mapped;
	batch->n_files = count;
	batch->files = allocate(&b, count, sizeof(*batch->files));
	for (size_t i = 0; batch->files && i < count; i++) {
		Varve__V1__File *f = NEW_MESSAGE(&b, Varve__V1__File, varve__v1__file__init);

		batch->files[i] = f;
		if (!f)
			continue;
		f->path = copy_text(&b, files[i].path);
		f->deleted = !files[i].path;
		f->size = files[i].size_bytes;
		f->opens = files[i].opens;
		f->read_bytes = files[i].read_bytes;
		f->mapped_bytes = files[i].mapped_bytes;
		f->last_access_ns = files[i].last_access_ns;
	}
	return finish(&b, batch);
}

Varve__V1__LeaseReply *native_messages_leases(const struct lease_view *leases, size_t count)
{
	struct build b = { 0 };
	Varve__V1__LeaseReply *reply =
		NEW_MESSAGE(&b, Varve__V1__LeaseReply, varve__v1__lease_reply__init);

	if (!reply)
		return NULL;
	reply->n_leases = count;
	reply->leases = allocate(&b, count, sizeof(*reply->leases));
	for (size_t i = 0; reply->leases && i < count; i++) {
		Varve__V1__Lease *l = NEW_MESSAGE(&b, Varve__V1__Lease, varve__v1__lease__init);

		reply->leases[i] = l;
		if (!l)
			continue;
		l->name = copy_text(&b, leases[i].name);
		l->created_ns = leases[i].created_ns;
		l->expires_ns = leases[i].expires_ns;
		l->ephemeral = leases[i].ephemeral;
		l->n_holds = leases[i].hold_count;
		l->holds = copy_holds(&b, leases[i].holds, leases[i].hold_count);
		l->n_needs = leases[i].reference_count;
		l->needs = copy_texts(&b, leases[i].references, leases[i].reference_count);
		l->id_map = make_id_map(&b, &leases[i].id_map);
	}
	return finish(&b, reply);
}

static Varve__V1__Space *make_space(struct build *b, const struct prune_space *space)
{
	Varve__V1__Space *m = NEW_MESSAGE(b, Varve__V1__Space, varve__v1__space__init);

	if (m) {
		m->bytes = space->bytes;
		m->percent = space->share * 100;
	}
	return m;
}

static Varve__V1__Policy *make_policy(struct build *b, const struct eviction_policy_view *v)
{
	Varve__V1__Policy *m = NEW_MESSAGE(b, Varve__V1__Policy, varve__v1__policy__init);
	Varve__V1__Limits *limits = NEW_MESSAGE(b, Varve__V1__Limits, varve__v1__limits__init);
	const struct prune_policy *p = v->policy;

	if (!m || !limits)
		return NULL;
	limits->reserved = make_space(b, &p->limits.reserved);
	limits->max_used = make_space(b, &p->limits.max_used);
	limits->min_free = make_space(b, &p->limits.min_free);
	m->limits = limits;
	m->name = copy_text(b, p->name);
	m->n_filters = p->filter_count;
	m->filters = copy_texts(b, p->filters, p->filter_count);
	m->all = p->all;
	m->keep_duration_ns = p->keep_duration_ns;
	m->scorer = copy_text(b, v->scorer);
	m->owner = copy_text(b, p->owner);
	m->reserved = prune_space_bytes(&p->limits.reserved, &v->disk);
	m->max_used = prune_space_bytes(&p->limits.max_used, &v->disk);
	m->min_free = prune_space_bytes(&p->limits.min_free, &v->disk);
	m->keep = v->keep_bytes;
	m->used = v->used_bytes;
	return m;
}

Varve__V1__PolicyReply *native_messages_policies(const struct eviction_policy_view *policies,
						 size_t count)
{
	struct build b = { 0 };
	Varve__V1__PolicyReply *reply =
		NEW_MESSAGE(&b, Varve__V1__PolicyReply, varve__v1__policy_reply__init);

	if (!reply)
		return NULL;
	reply->n_policies = count;
	reply->policies = allocate(&b, count, sizeof(*reply->policies));
	for (size_t i = 0; reply->policies && i < count; i++)
		reply->policies[i] = make_policy(&b, &policies[i]);
	return finish(&b, reply);
}
