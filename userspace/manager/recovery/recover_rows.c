/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/recover_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text_copy.h"
#include "base/vec.h"
#include "graph/record_content.h"
#include "manager/state/manager_state.h"
#include "manager/recovery/recover_leases.h"
#include "manager/snapshots/spare_layers.h"
#include "manager/state/store_files.h"
#include "overlay/overlay_options.h"
#include "store/content_rows.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"

/* A chain longer than any that can be made is a loop. */
#define DEPTH_OF_LOOP (OVERLAY_MAX_LOWERS + 3)
#define REPORTED_MAX 20 /* of quarantined records, so that a lost disk does not fill the log */

/* A row that is not in the graph yet. */
struct pending_record {
	struct record *record;
	char parent[RECORD_ID_LENGTH + 1], twin[RECORD_ID_LENGTH + 1];
	char layer_name[LAYER_NAME_LENGTH + 1];
	struct layer *layer; /* NULL: lost */
	struct pending_record *parent_row, *twin_row; /* NULL: none, or lost */
	unsigned depth; /* with its ancestors; 0: not known yet */
	bool unfinished, inserted;
	const char *damage; /* what it has lost; NULL: nothing */
};

struct loading {
	struct manager *m;
	struct pending_record *pending; /* in the order of their ids */
	uint64_t *prefixes; /* of their ids: see prefix_of() */
	size_t count, capacity;
	size_t cursor; /* of what is read in the order of ids: see find_in_order() */
	struct change_set *changes;
};

/* The names are numbers, with 32 digits. */
void recover_rows_take_name(struct manager *m, const char *layer)
{
	uint64_t number = 0;

	for (; *layer; layer++)
		number = number * 32 + (uint64_t)(*layer >= 'a' ? *layer - 'a' + 10 : *layer - '0');
	if (number >= m->next_layer)
		m->next_layer = number + 1;
}

static int load_layer(const struct layer *row, void *user)
{
	struct loading *load = user;
	struct layer *layer = record_graph_add_layer(load->m->graph, row->name);

	if (!layer)
		return -ENOMEM;
	*layer = *row;
	layer->counts = NULL;
	if (row->counts) {
		if (!layer_counts_make(layer))
			return -ENOMEM;
		*layer->counts = *row->counts;
	}
	layer->handed_out = true; /* perhaps, by an agent before this one */
	recover_rows_take_name(load->m, row->name);
	return 0;
}

static int load_record(const struct record_row *row, void *user)
{
	struct loading *load = user;
	struct pending_record *pending, *p;

	if (strlen(row->id) != RECORD_ID_LENGTH)
		return -EINVAL;
	pending = vec_reserve(load->pending, &load->capacity, load->count + 1, sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	load->pending = pending;
	p = &load->pending[load->count];
	*p = (struct pending_record){ .record = record_new(row->id, row->description, row->type) };
	if (!p->record)
		return -ENOMEM;
	load->count++;
	atomic_store_explicit(&load->m->records_read, load->count, memory_order_relaxed);
	text_copy(p->parent, sizeof(p->parent), row->parent);
	text_copy(p->twin, sizeof(p->twin), row->twin);
	text_copy(p->layer_name, sizeof(p->layer_name), row->layer);
	p->record->state = (enum record_state)row->state;
	p->record->is_mutable = row->is_mutable != 0;
	p->record->retain = row->retain != 0;
	p->record->pinned = row->pinned != 0;
	p->record->created_ns = row->created_ns;
	p->record->hits = (uint64_t)row->hits;
	p->record->last_hit_ns = row->last_hit_ns;
	p->record->ref_uses = (uint64_t)row->ref_uses;
	p->record->last_ref_use_ns = row->last_ref_use_ns;
	return id_map_parse(row->uid_map, row->gid_map, &p->record->id_map, NULL);
}

/* Finds the row of a detail. Records and details come in the order of their ids, so that the next
 * one is the same, or not far behind. */
static struct pending_record *find_in_order(struct loading *load, const char *id)
{
	while (load->cursor < load->count) {
		struct pending_record *p = &load->pending[load->cursor];
		int order = strcmp(p->record->id, id);

		if (order == 0)
			return p;
		if (order > 0)
			return NULL;
		load->cursor++;
	}
	return NULL;
}

/* The first eight bytes as a number: the numbers of ids are in the order of the ids. */
static uint64_t prefix_of(const char *id)
{
	uint64_t prefix = 0;

	for (size_t i = 0; i < sizeof(prefix); i++) {
		prefix = prefix << 8 | (unsigned char)*id;
		id += *id != '\0';
	}
	return prefix;
}

/* The row of an id; NULL: there is none. Searches the numbers, which lie close to each other: to
 * fill a hash table takes longer than all these searches. */
static struct pending_record *find_row(const struct loading *load, const char *id)
{
	uint64_t wanted = prefix_of(id);
	size_t first = 0, count = load->count;

	while (count > 0) {
		size_t half = count / 2, middle = first + half;
		uint64_t prefix = load->prefixes[middle];
		int order = prefix < wanted   ? -1
			    : prefix > wanted ? 1
					      : strcmp(load->pending[middle].record->id, id);

		if (order == 0)
			return &load->pending[middle];
		first = order < 0 ? middle + 1 : first;
		count = order < 0 ? count - half - 1 : half;
	}
	return NULL;
}

static int load_label(const char *id, const char *key, const char *value, void *user)
{
	struct loading *load = user;
	struct pending_record *p = find_in_order(load, id);

	return p ? record_set_label(p->record, key, value) : 0;
}

static int load_image_ref(const char *id, const char *ref, void *user)
{
	struct loading *load = user;
	struct pending_record *p = find_in_order(load, id);

	return p ? record_add_image_ref(p->record, ref) : 0;
}

static int load_content(const char *id, const struct record_content *content, void *user)
{
	struct loading *load = user;
	struct pending_record *p = find_in_order(load, id);

	if (!p)
		return 0;
	p->record->content = record_content_copy(content);
	return p->record->content ? 0 : -ENOMEM;
}

static bool layer_exists(struct manager *m, const char *name)
{
	char path[STORE_FILES_PATH_SIZE];
	struct stat st;

	store_files_layer_path(name, path);
	return fstatat(m->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Those of a layer that was made just before a power cut may be where they were prepared. */
static bool has_files(struct manager *m, const char *layer)
{
	return layer_exists(m, layer) || spare_layers_rescue(m, layer) == 0;
}

static bool has_fallen(const struct pending_record *p)
{
	return p->unfinished || p->damage;
}

/* Sets the depth of a row, DEPTH_OF_LOOP at most, and those of its ancestors, so that each is
 * looked at once. */
static void find_depth(struct pending_record *p)
{
	const struct pending_record *known = p;
	unsigned count = 0, below;

	while (known && !known->depth && count < DEPTH_OF_LOOP) {
		known = known->parent_row;
		count++;
	}
	if (known && !known->depth) {
		p->depth = DEPTH_OF_LOOP;
		return;
	}
	below = known ? known->depth : 0;
	for (; count > 0; count--, p = p->parent_row)
		p->depth = below + count < DEPTH_OF_LOOP ? below + count : DEPTH_OF_LOOP;
}

static const char *find_damage(const struct loading *load, struct pending_record *p)
{
	if (!p->layer ||
	    !(p->layer->lazy ? p->record->content != NULL : has_files(load->m, p->layer_name)))
		return "its data";
	find_depth(p);
	if (p->depth == DEPTH_OF_LOOP)
		return "the end of its chain of parents";
	return NULL;
}

/* With their parents fall the children, and an immutable half with its mutable one, which owns the
 * data. The other way round the data are still good. */
static const char *find_loss(const struct pending_record *p)
{
	if (*p->parent && (!p->parent_row || has_fallen(p->parent_row)))
		return "its parent";
	if (*p->twin && !p->record->is_mutable && (!p->twin_row || has_fallen(p->twin_row)))
		return "its mutable half";
	return NULL;
}

/* Resolves what the rows name. */
static void link_rows(struct loading *load)
{
	for (size_t i = 0; i < load->count; i++) {
		struct pending_record *p = &load->pending[i];

		p->layer = record_graph_find_layer(load->m->graph, p->layer_name);
		p->parent_row = *p->parent ? find_row(load, p->parent) : NULL;
		p->twin_row = *p->twin ? find_row(load, p->twin) : NULL;
	}
}

static void judge(struct loading *load)
{
	bool again = true;

	for (size_t i = 0; i < load->count; i++) {
		struct pending_record *p = &load->pending[i];

		p->unfinished = p->record->state != RECORD_LIVE;
		if (!p->unfinished)
			p->damage = find_damage(load, p);
	}
	while (again) {
		again = false;
		for (size_t i = 0; i < load->count; i++) {
			struct pending_record *p = &load->pending[i];

			if (!has_fallen(p) && (p->damage = find_loss(p)))
				again = true;
		}
	}
}

static int quarantine(struct loading *load, const struct pending_record *p, size_t *reported)
{
	struct manager *m = load->m;
	struct quarantined_record *quarantined = calloc(1, sizeof(*quarantined));
	int code = quarantined ? 0 : -ENOMEM;

	if (code == 0) {
		memcpy(quarantined->id, p->record->id, sizeof(quarantined->id));
		memcpy(quarantined->layer, p->layer_name, sizeof(quarantined->layer));
		quarantined->damage = p->damage;
		code = hashmap_insert(m->quarantined, quarantined->id, quarantined);
	}
	if (code < 0) {
		free(quarantined);
		return code;
	}
	code = hashmap_insert(m->quarantined_layers, quarantined->layer, quarantined);
	if (code < 0 && code != -EEXIST) /* twins have one */
		return code;
	if ((*reported)++ < REPORTED_MAX)
		manager_report(m, true,
			       "record=%s has lost %s: quarantined (varve fsck --repair drops it)",
			       p->record->id, p->damage);
	return 0;
}

/* What has fallen leaves the rows to be loaded. */
static int remove_fallen(struct loading *load)
{
	size_t reported = 0;

	for (size_t i = 0; i < load->count; i++) {
		struct pending_record *p = &load->pending[i];
		int code = 0;

		if (!has_fallen(p))
			continue;
		if (p->damage) {
			code = quarantine(load, p, &reported);
		} else {
			manager_report(load->m, false, "record=%s was never finished: discarded",
				       p->record->id);
			record_rows_delete(load->changes, p->record->id);
		}
		record_free(take_ptr(p->record));
		if (code < 0)
			return code;
	}
	if (reported > REPORTED_MAX)
		manager_report(load->m, true, "%zu records in all were quarantined", reported);
	return 0;
}

/* Without their parents, so that a store of many records is gone through in its order. */
static int insert_records(struct loading *load)
{
	for (size_t i = 0; i < load->count; i++) {
		struct pending_record *p = &load->pending[i];
		int code;

		if (!p->record)
			continue;
		code = record_graph_insert(load->m->graph, p->record, NULL, p->layer);
		if (code < 0)
			return code;
		p->inserted = true;
	}
	return 0;
}

/* Chains that do not end have fallen. */
static int build_graph(struct loading *load)
{
	int code = insert_records(load);

	if (code < 0)
		return code;
	for (size_t i = 0; i < load->count; i++) {
		const struct pending_record *p = &load->pending[i];
		struct record *twin = p->twin_row ? p->twin_row->record : NULL;

		if (!p->record)
			continue;
		if (p->parent_row)
			record_graph_set_parent(p->record, p->parent_row->record);
		if (twin && !p->record->is_mutable)
			record_graph_pair(p->record, twin);
		else if (*p->twin && !twin)
			record_rows_set_twin(load->changes, p->record->id, NULL);
	}
	return 0;
}

static int index_by_id(struct loading *load)
{
	load->prefixes = calloc(load->count + 1, sizeof(*load->prefixes));
	if (!load->prefixes)
		return -ENOMEM;
	for (size_t i = 0; i < load->count; i++)
		load->prefixes[i] = prefix_of(load->pending[i].record->id);
	return 0;
}

/* Two halves of a record have one layer. */
static int make_room(struct loading *load)
{
	size_t chains = 0, layers = 0;

	for (size_t i = 0; i < load->count; i++) {
		const struct pending_record *p = &load->pending[i];

		chains += p->record->content != NULL;
		layers += !*p->twin || p->record->is_mutable;
	}
	return record_graph_reserve(load->m->graph, load->count, chains, layers);
}

/* What belongs to records that have been read. */
static int load_details(struct loading *load, sqlite3 *db, struct error *e)
{
	int code = record_rows_load_labels(db, load_label, load, e);

	load->cursor = 0;
	if (code == 0)
		code = record_rows_load_image_refs(db, load_image_ref, load, e);
	load->cursor = 0;
	return code < 0 ? code : content_rows_load(db, load_content, load, e);
}

static int load_records(struct loading *load, sqlite3 *db, struct error *e)
{
	int code = record_rows_load(db, load_record, load, e);

	if (code < 0)
		return code;
	code = load_details(load, db, e);
	if (code < 0)
		return code;
	code = make_room(load);
	if (code == 0)
		code = index_by_id(load);
	if (code < 0)
		return error_set(e, code, "load records: %s", strerror(-code));
	code = layer_rows_load(db, load_layer, load, e);
	if (code < 0)
		return code;
	link_rows(load);
	judge(load);
	code = remove_fallen(load);
	if (code == 0)
		code = build_graph(load);
	return code < 0 ? error_set(e, code, "load records: %s", strerror(-code)) : 0;
}

bool recover_rows_is_quarantined(const struct manager *m, const char *layer)
{
	return hashmap_find(m->quarantined_layers, layer);
}

/* Layers that no record owns: their rows go, their directories are found as strangers. Those of
 * records that were quarantined keep both. */
static int drop_unowned_layers(struct loading *load)
{
	struct record_graph *graph = load->m->graph;
	cleanup(free_ptr) struct layer **unowned =
		calloc(record_graph_layer_count(graph) + 1, sizeof(struct layer *));
	size_t count = 0, at = 0;
	struct layer *layer;

	if (!unowned)
		return -ENOMEM;
	while ((layer = record_graph_next_layer(graph, &at)))
		if (!layer->owners)
			unowned[count++] = layer;
	for (size_t i = 0; i < count; i++) {
		if (!recover_rows_is_quarantined(load->m, unowned[i]->name))
			layer_rows_delete(load->changes, unowned[i]->name);
		record_graph_remove_layer(graph, unowned[i]);
	}
	return 0;
}

static void loading_free(struct loading *load)
{
	for (size_t i = 0; i < load->count; i++) {
		/* After a failure some never came into the graph. */
		if (!load->pending[i].inserted)
			record_free(load->pending[i].record);
	}
	free(load->prefixes);
	free(load->pending);
}
DEFINE_CLEANUP_VALUE(struct loading, loading_free)

static int load_all(struct loading *load, sqlite3 *db, struct error *e)
{
	int code = load_records(load, db, e);

	return code < 0 ? code : recover_leases_load(load->m, db, load->changes, e);
}

int recover_rows_load(struct manager *m, struct change_set *c, struct error *e)
{
	cleanup(loading_free) struct loading load = { .m = m, .changes = c };
	sqlite3 *db = database_lock_reader(m->database);
	int code = load_all(&load, db, e);

	database_unlock_reader(m->database);
	if (code < 0)
		return code;
	return drop_unowned_layers(&load) < 0 ? error_set(e, -ENOMEM, "out of memory") : 0;
}
