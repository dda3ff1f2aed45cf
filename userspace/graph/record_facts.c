/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record_facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "graph/record_graph.h"

void record_facts_free(struct record_facts *copy)
{
	free((char *)copy->id);
	free((char *)copy->parent);
	free((char *)copy->description);
	free((char *)copy->type);
	if (copy->labels)
		record_labels_free((struct record_label *)copy->labels, copy->label_count);
	*copy = (struct record_facts){ 0 };
}

int record_facts_copy(const struct record_facts *facts, struct record_facts *ret_copy)
{
	struct record_label *labels = calloc(facts->label_count + 1, sizeof(*labels));
	cleanup(record_facts_free) struct record_facts copy = *facts;

	copy.id = strdup(facts->id);
	copy.parent = facts->parent ? strdup(facts->parent) : NULL;
	copy.description = strdup(facts->description);
	copy.type = strdup(facts->type);
	copy.labels = labels;
	copy.label_count = 0;
	if (!copy.id || (facts->parent && !copy.parent) || !copy.description || !copy.type ||
	    !labels)
		return -ENOMEM;
	for (size_t i = 0; i < facts->label_count; i++) {
		labels[i].key = strdup(facts->labels[i].key);
		labels[i].value = strdup(facts->labels[i].value);
		copy.label_count++;
		if (!labels[i].key || !labels[i].value)
			return -ENOMEM;
	}
	*ret_copy = copy;
	copy = (struct record_facts){ 0 };
	return 0;
}

struct asked {
	const struct record_facts *facts;
	int64_t now_ns;
};

static const char *flag(bool set)
{
	return set ? "true" : NULL;
}

static const char *text(const char *value)
{
	return value && *value ? value : NULL;
}

static const char *number(uint64_t value, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%" PRIu64, value);
	return buffer;
}

static const char *age(int64_t then_ns, int64_t now_ns, char *buffer, size_t size)
{
	if (!then_ns)
		return NULL;
	(void)snprintf(buffer, size, "%" PRId64, now_ns - then_ns);
	return buffer;
}

static const char *label(const struct record_facts *facts, const char *key)
{
	for (size_t i = 0; i < facts->label_count; i++)
		if (strcmp(facts->labels[i].key, key) == 0)
			return facts->labels[i].value;
	return NULL;
}

static const char *field(const char *const *path, size_t parts, char *buffer, size_t size,
			 void *user)
{
	const struct asked *asked = user;
	const struct record_facts *f = asked->facts;
	const char *name = path[0];

	if (parts == 2 && strcmp(name, "labels") == 0)
		return label(f, path[1]);
	if (parts != 1)
		return NULL;
	if (strcmp(name, "id") == 0)
		return f->id;
	if (strcmp(name, "parent") == 0 || strcmp(name, "parents") == 0)
		return f->parent;
	if (strcmp(name, "description") == 0)
		return text(f->description);
	if (strcmp(name, "type") == 0)
		return f->type;
	if (strcmp(name, "inuse") == 0)
		return flag(f->in_use);
	if (strcmp(name, "mutable") == 0)
		return flag(f->is_mutable);
	if (strcmp(name, "immutable") == 0)
		return flag(!f->is_mutable);
	if (strcmp(name, "shared") == 0)
		return flag(f->shared);
	if (strcmp(name, "private") == 0)
		return flag(!f->shared);
	if (strcmp(name, "pinned") == 0)
		return flag(f->pinned);
	if (strcmp(name, "retain") == 0)
		return flag(f->retain);
	if (strcmp(name, "size") == 0)
		return f->size_bytes < 0 ? NULL : number((uint64_t)f->size_bytes, buffer, size);
	if (strcmp(name, "opens") == 0)
		return number(f->opens, buffer, size);
	if (strcmp(name, "usagecount") == 0)
		return number(f->usage_count, buffer, size);
	if (strcmp(name, "age") == 0)
		return age(f->created_ns, asked->now_ns, buffer, size);
	if (strcmp(name, "lastused") == 0)
		return age(f->last_used_ns, asked->now_ns, buffer, size);
	if (strcmp(name, "lastread") == 0)
		return age(f->last_read_ns, asked->now_ns, buffer, size);
	return NULL;
}

bool record_facts_match(const struct record_facts *facts, const struct record_filter *f,
			int64_t now_ns)
{
	struct asked asked = { .facts = facts, .now_ns = now_ns };

	return record_filter_match(f, field, &asked);
}
