/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/snapshot_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/strbuf.h"

int snapshot_names_init(struct snapshot_names *names, size_t room)
{
	*names = (struct snapshot_names){ .by_name = hashmap_new(),
					  .items = calloc(room + 1, sizeof(*names->items)) };
	return names->by_name && names->items ? 0 : -ENOMEM;
}

void snapshot_names_free(struct snapshot_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i].name);
	free(names->items);
	hashmap_free(names->by_name);
	*names = (struct snapshot_names){ 0 };
}

/* NULL: the key has another form, or there is no memory. */
static char *name_of(const char *key, unsigned long long *ret_number)
{
	struct strbuf text = { 0 };
	const char *number = strchr(key, '/');
	char *end;

	if (!number || number[1] < '0' || number[1] > '9')
		return NULL;
	*ret_number = strtoull(number + 1, &end, 10);
	if (*end != '/')
		return NULL;
	strbuf_append_bytes(&text, key, (size_t)(number - key));
	strbuf_append(&text, end);
	return strbuf_take(&text);
}

int snapshot_names_add(struct snapshot_names *names, const char *key, void *value)
{
	unsigned long long number;
	cleanup(free_ptr) char *name = name_of(key, &number);
	struct snapshot_name *found = name ? hashmap_find(names->by_name, name) : NULL;
	struct snapshot_name *added = &names->items[names->count];

	if (!name || (found && found->number > number))
		return 0;
	if (found) {
		found->number = number;
		found->value = value;
		return 0;
	}
	*added = (struct snapshot_name){ .name = name, .number = number, .value = value };
	if (hashmap_insert(names->by_name, name, added) < 0)
		return -ENOMEM;
	(void)take_ptr(name);
	names->count++;
	return 0;
}

size_t snapshot_names_init_length(const char *name)
{
	static const char suffix[] = "-init";
	const char *last = strrchr(name, '/');
	size_t length = strlen(last ? last + 1 : name), suffix_length = sizeof(suffix) - 1;

	if (length <= suffix_length || strcmp(name + strlen(name) - suffix_length, suffix) != 0)
		return 0;
	return length - suffix_length;
}

void *snapshot_names_find(const struct snapshot_names *names, const char *namespace,
			  const char *name)
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	const struct snapshot_name *found;

	strbuf_appendf(&text, "%s/%s", namespace, name);
	found = strbuf_failed(&text) ? NULL : hashmap_find(names->by_name, text.text);
	return found ? found->value : NULL;
}
