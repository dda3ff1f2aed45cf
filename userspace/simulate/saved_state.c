/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/saved_state.h"

#include <errno.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/vec.h"
#include "prune/prune_plan.h"
#include "prune/prune_rule.h"
#include "simulate/json_lines.h"

struct saved_record {
	struct record_facts facts; /* whose texts it owns */
	size_t parent; /* index, or PRUNE_NO_PARENT */
	/* What the agent knew of it; 0: nothing. */
	double cost_s, needed_again_s;
	bool kept_longer;
	size_t line;
	enum { UNSEEN, ON_THE_WAY, SEEN } seen; /* scratch of the search for loops */
};

struct saved_state {
	struct saved_record *records;
	size_t count, capacity;
	struct hashmap *by_id;
};

void saved_state_free(struct saved_state *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		record_facts_free(&s->records[i].facts);
	free(s->records);
	hashmap_free(s->by_id);
	free(s);
}

/* ---- a line ---- */

static int no_memory(const struct json_lines *l)
{
	return error_set(l->e, -ENOMEM, "no memory for %s", l->name);
}

static int read_parent(const struct json_lines *l, const char **ret_parent)
{
	const struct json_value *parents = json_lines_find(l, "parents"), *parent;

	if (!parents)
		return 0;
	if (parents->kind != JSON_TREE_ARRAY)
		return json_lines_fault(l, "\"parents\" is not a list");
	if (parents->count > 1)
		return json_lines_fault(
			l, "the record has %u parents; only records with one parent can be planned",
			parents->count);
	parent = json_tree_first(&l->tree, parents);
	if (parent && parent->kind != JSON_TREE_TEXT)
		return json_lines_fault(l, "the parent is not a string");
	if (parent)
		*ret_parent = parent->text;
	return 0;
}

static int read_labels(const struct json_lines *l, struct record_facts *f)
{
	const struct json_value *object = json_lines_find(l, "labels"), *value;
	struct record_label *labels;

	if (!object || object->kind != JSON_TREE_OBJECT)
		return object ? json_lines_fault(l, "\"labels\" is not an object") : 0;
	if (object->count == 0)
		return 0;
	labels = calloc(object->count, sizeof(*labels));
	if (!labels)
		return no_memory(l);
	f->labels = labels;
	for (value = json_tree_first(&l->tree, object); value;
	     value = json_tree_next(&l->tree, value)) {
		struct record_label *label = &labels[f->label_count];

		if (value->kind != JSON_TREE_TEXT)
			return json_lines_fault(l, "the value of label '%s' is not a string",
						value->key);
		label->key = strdup(value->key);
		label->value = strdup(value->text);
		f->label_count++;
		if (!label->key || !label->value)
			return no_memory(l);
	}
	return 0;
}

static int read_access(const struct json_lines *l, struct record_facts *f)
{
	struct json_lines access = *l;
	int64_t opens = 0;
	int code;

	access.object = json_lines_find(l, "access");
	if (!access.object)
		return 0;
	if (access.object->kind != JSON_TREE_OBJECT)
		return json_lines_fault(l, "\"access\" is not an object");
	code = json_lines_count(&access, "opens", &opens);
	f->opens = (uint64_t)opens;
	return code ? code : json_lines_time(&access, "lastReadAt", &f->last_read_ns);
}

static int read_values(const struct json_lines *l, struct saved_record *r)
{
	struct record_facts *f = &r->facts;
	const struct {
		const char *key;
		bool *value;
	} flags[] = { { "mutable", &f->is_mutable },
		      { "inUse", &f->in_use },
		      { "shared", &f->shared },
		      { "pinned", &f->pinned } };
	int64_t usage_count = 0;
	const struct {
		const char *key;
		int64_t *value;
	} counts[] = { { "size", &f->size_bytes }, { "usageCount", &usage_count } },
	  times[] = { { "createdAt", &f->created_ns }, { "lastUsedAt", &f->last_used_ns } };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (json_lines_bool(l, flags[i].key, flags[i].value) < 0)
			return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (json_lines_count(l, counts[i].key, counts[i].value) < 0)
			return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (json_lines_time(l, times[i].key, times[i].value) < 0)
			return -EINVAL;
	if (json_lines_bool(l, "keptLonger", &r->kept_longer) < 0 ||
	    json_lines_seconds(l, "cost", &r->cost_s) < 0 ||
	    json_lines_positive(l, "neededAgain", &r->needed_again_s) < 0)
		return -EINVAL;
	f->usage_count = (uint64_t)usage_count;
	return read_access(l, f);
}

static int read_texts(const struct json_lines *l, struct record_facts *f)
{
	const char *id = "", *parent = NULL, *description = "", *type = "";

	if (json_lines_text(l, "id", &id) < 0 ||
	    json_lines_text(l, "description", &description) < 0 ||
	    json_lines_text(l, "recordType", &type) < 0 || read_parent(l, &parent) < 0)
		return -EINVAL;
	if (!*id)
		return json_lines_fault(l, "the record has no \"id\"");
	f->id = strdup(id);
	f->parent = parent ? strdup(parent) : NULL;
	f->description = strdup(description);
	f->type = strdup(type);
	if (!f->id || (parent && !f->parent) || !f->description || !f->type)
		return no_memory(l);
	return read_labels(l, f);
}

static struct saved_record *append(struct saved_state *s)
{
	struct saved_record *records =
		vec_reserve(s->records, &s->capacity, s->count + 1, sizeof(*records));

	if (!records)
		return NULL;
	s->records = records;
	s->records[s->count] = (struct saved_record){
		.facts = { .size_bytes = -1 },
		.parent = PRUNE_NO_PARENT,
	};
	return &s->records[s->count++];
}

/* ---- the whole ---- */

/* Called after the last record was added, because the index points to them. */
static int index_ids(struct saved_state *s, struct json_lines *l)
{
	for (size_t i = 0; i < s->count; i++) {
		struct saved_record *r = &s->records[i];
		int code = hashmap_insert(s->by_id, r->facts.id, r);

		l->number = r->line;
		if (code == -EEXIST) {
			const struct saved_record *first = hashmap_find(s->by_id, r->facts.id);
			return json_lines_fault(l, "record '%s' is already on line %zu",
						r->facts.id, first->line);
		}
		if (code < 0)
			return no_memory(l);
	}
	return 0;
}

/* Walks up each chain, as far as no earlier walk has gone. */
static int find_loop(struct saved_state *s, struct json_lines *l)
{
	for (size_t i = 0; i < s->count; i++) {
		size_t at = i;

		for (; at != PRUNE_NO_PARENT && s->records[at].seen == UNSEEN;
		     at = s->records[at].parent)
			s->records[at].seen = ON_THE_WAY;
		if (at != PRUNE_NO_PARENT && s->records[at].seen == ON_THE_WAY) {
			l->number = s->records[at].line;
			return json_lines_fault(l, "record '%s' is among its own ancestors",
						s->records[at].facts.id);
		}
		for (at = i; at != PRUNE_NO_PARENT && s->records[at].seen == ON_THE_WAY;
		     at = s->records[at].parent)
			s->records[at].seen = SEEN;
	}
	return 0;
}

static int link_records(struct saved_state *s, struct json_lines *l)
{
	int code = index_ids(s, l);

	if (code < 0)
		return code;
	for (size_t i = 0; i < s->count; i++) {
		const struct record_facts *f = &s->records[i].facts;
		const struct saved_record *parent = f->parent ? hashmap_find(s->by_id, f->parent)
							      : NULL;

		if (parent)
			s->records[i].parent = (size_t)(parent - s->records);
	}
	return find_loop(s, l);
}

int saved_state_read(const char *path, struct saved_state **ret_state, struct error *e)
{
	cleanup(saved_state_free) struct saved_state *s = calloc(1, sizeof(*s));
	cleanup(json_lines_close) struct json_lines lines = { .file = NULL };
	int code;

	if (s)
		s->by_id = hashmap_new();
	if (!s || !s->by_id)
		return error_set(e, -ENOMEM, "no memory for %s", path);
	code = json_lines_open(&lines, path, e);
	if (code < 0)
		return code;
	while ((code = json_lines_next(&lines)) > 0) {
		struct saved_record *record = append(s);

		if (!record)
			return no_memory(&lines);
		record->line = lines.number;
		code = read_texts(&lines, &record->facts);
		if (code < 0)
			return code;
		code = read_values(&lines, record);
		if (code < 0)
			return code;
	}
	if (code < 0)
		return code;
	code = link_records(s, &lines);
	if (code < 0)
		return code;
	*ret_state = take_ptr(s);
	return 0;
}

/* ---- the plan ---- */

static struct prune_record planned(const struct saved_record *r, const struct prune_rule *rule,
				   int64_t now_ns)
{
	const struct record_facts *f = &r->facts;

	struct prune_record p = {
		.id = f->id,
		.parent = r->parent,
		.created_ns = f->created_ns,
		.last_used_ns = f->last_used_ns,
		.usage_count = f->usage_count,
		.size_bytes = f->size_bytes < 0 ? 0 : f->size_bytes,
		.shared = f->shared,
		.evictable = !f->in_use &&
			     prune_rule_keep(rule, f, f->last_used_ns, now_ns) == PRUNE_KEEP_NOT,
	};

	prune_score_forecast(rule->scorer, &p, now_ns);
	p.seconds = r->cost_s;
	p.kept_longer = r->kept_longer;
	if (r->needed_again_s > 0)
		p.need_rate = 1 / r->needed_again_s;
	return p;
}

static int copy_steps(const struct saved_state *s, const struct prune_plan *plan,
		      struct saved_state_step **ret_steps, struct error *e)
{
	struct saved_state_step *steps = calloc(plan->count + 1, sizeof(*steps));

	if (!steps)
		return error_set(e, -ENOMEM, "no memory for a plan of %zu records", plan->count);
	for (size_t i = 0; i < plan->count; i++) {
		const struct record_facts *f = &s->records[plan->steps[i].record].facts;

		steps[i] = (struct saved_state_step){ .id = f->id,
						      .size_bytes = f->size_bytes,
						      .score = plan->steps[i].score };
	}
	*ret_steps = steps;
	return 0;
}

int saved_state_plan(const struct saved_state *s, const struct saved_state_options *o,
		     struct saved_state_step **ret_steps, size_t *ret_count, int64_t *ret_remaining,
		     struct error *e)
{
	cleanup(free_ptr) struct prune_record *records = calloc(s->count + 1, sizeof(*records));
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	struct prune_rule rule = { .all = o->all, .keep_duration_ns = o->keep_duration_ns };
	const struct prune_goal goal = { .keep_bytes = o->keep_bytes };
	cleanup(prune_plan_free) struct prune_plan plan = { 0 };
	int code;

	if (!records)
		return error_set(e, -ENOMEM, "no memory for %zu records", s->count);
	rule.scorer = prune_scorer_find(o->scorer);
	if (!rule.scorer)
		return error_set(e, -EINVAL,
				 "unknown scorer '%.40s' (scorers: " PRUNE_SCORER_NAMES ")",
				 o->scorer);
	code = record_filter_parse(o->filters, o->filter_count, &filter, e);
	if (code < 0)
		return code;
	rule.filter = filter;
	for (size_t i = 0; i < s->count; i++)
		records[i] = planned(&s->records[i], &rule, o->now_ns);

	code = prune_plan(records, s->count, &goal, rule.scorer, &plan, e);
	if (code < 0)
		return code;
	code = copy_steps(s, &plan, ret_steps, e);
	if (code < 0)
		return code;
	*ret_count = plan.count;
	*ret_remaining = plan.remaining_bytes;
	return 0;
}
