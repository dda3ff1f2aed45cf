/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/state/snapshot_lease.h"

#define NO_NAMESPACE "-"
#define DESCRIPTION_MAX 256 /* more of a key says nothing to people */
#define NAMESPACE_MAX 76 /* containerd's own limit */

int snapshot_keys_check(const char *what, const char *key, struct error *e)
{
	size_t length = strlen(key);

	if (length == 0)
		return error_set(e, -EINVAL, "a snapshot needs a %s", what);
	if (length > SNAPSHOT_KEY_MAX)
		return error_set(e, -EINVAL, "a snapshot's %s has at most %d bytes, not %zu", what,
				 SNAPSHOT_KEY_MAX, length);
	return 0;
}

char *snapshot_keys_describe(const char *key)
{
	struct strbuf text = { 0 };
	size_t left = strlen(key);

	while (left > 0 && text.length < DESCRIPTION_MAX) {
		uint32_t character;
		size_t size = utf8_decode(key, left, &character);

		if (size == 0 || character < ' ' || character == 0x7f) {
			strbuf_appendf(&text, "\\x%02x", (unsigned char)*key);
			size = 1;
		} else {
			strbuf_append_bytes(&text, key, size);
		}
		key += size;
		left -= size;
	}
	return strbuf_take(&text);
}

int snapshot_keys_draft(const struct record_label *labels, size_t count, struct record **ret_draft,
			struct error *e)
{
	cleanup(record_free) struct record *draft = NULL;
	int code = 0;

	if (count > SNAPSHOT_LABELS_MAX)
		return error_set(e, -EINVAL, "a snapshot has at most %d labels, not %zu",
				 SNAPSHOT_LABELS_MAX, count);
	draft = record_new("", "", "");
	if (!draft)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count && code == 0; i++) {
		if (!*labels[i].value)
			continue;
		if (!*labels[i].key)
			return error_set(e, -EINVAL, "a label needs a key");
		code = record_set_label(draft, labels[i].key, labels[i].value);
	}
	if (code < 0)
		return error_set(e, code, "out of memory");
	*ret_draft = take_ptr(draft);
	return 0;
}

struct snapshot *snapshot_keys_new(const char *key, enum snapshot_kind kind)
{
	cleanup(snapshot_free) struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->key = strdup(key);
	if (!s->key)
		return NULL;
	s->kind = kind;
	s->created_ns = s->updated_ns = clock_wall_ns();
	return take_ptr(s);
}

int snapshot_keys_insert(struct manager *m, struct snapshot *s)
{
	int code = hashmap_insert(m->snapshots, s->key, s);

	manager_assert_locked(m);
	if (code == 0)
		free(take_ptr(m->snapshots_sorted));
	return code;
}

void snapshot_keys_remove(struct manager *m, const char *key)
{
	manager_assert_locked(m);
	(void)hashmap_remove(m->snapshots, key); /* the caller has found it */
	free(take_ptr(m->snapshots_sorted));
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(struct snapshot *const *)a)->key, (*(struct snapshot *const *)b)->key);
}

struct snapshot **snapshot_keys_sorted(struct manager *m, size_t *ret_count)
{
	size_t count = hashmap_count(m->snapshots), at = 0, position = 0;

	manager_assert_locked(m);
	*ret_count = count;
	if (m->snapshots_sorted)
		return m->snapshots_sorted;
	m->snapshots_sorted = calloc(count + 1, sizeof(*m->snapshots_sorted));
	if (!m->snapshots_sorted)
		return NULL;
	while (at < count)
		m->snapshots_sorted[at++] = hashmap_next(m->snapshots, &position);
	qsort(m->snapshots_sorted, count, sizeof(*m->snapshots_sorted), by_key);
	return m->snapshots_sorted;
}

struct snapshot *snapshot_keys_find(struct manager *m, const char *key, bool *ret_waited)
{
	struct snapshot *s;

	manager_assert_locked(m);
	while ((s = hashmap_find(m->snapshots, key)) && s->record->busy) {
		*ret_waited = true;
		manager_wait(m);
	}
	return s;
}

int snapshot_keys_get(struct manager *m, const char *key, struct snapshot **ret_snapshot,
		      struct error *e)
{
	bool waited;
	struct snapshot *s = snapshot_keys_find(m, key, &waited);

	if (!s)
		return error_set(e, -ENOENT, "snapshot %.256s does not exist: not found", key);
	*ret_snapshot = s;
	return 0;
}

char *snapshot_keys_namespace(const char *key)
{
	return strndup(key, strcspn(key, "/"));
}

bool snapshot_keys_is_in(const char *key, const char *namespace)
{
	size_t length = strlen(namespace);

	return strncmp(key, namespace, length) == 0 && key[length] == '/';
}

const char *snapshot_keys_name(const char *key)
{
	const char *number = strchr(key, '/');
	const char *name = number ? strchr(number + 1, '/') : NULL;

	return name ? name + 1 : key;
}

/* "containerd/default" for "default/12/extract-…" */
static void name_lease(const char *key, char name[sizeof(SNAPSHOT_LEASE_PREFIX) + NAMESPACE_MAX])
{
	size_t length = strcspn(key, "/");

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)key[i] <= ' ' || key[i] == 0x7f)
			length = 0;
	if (length == 0 || length > NAMESPACE_MAX || key[length] == '\0') {
		key = NO_NAMESPACE;
		length = strlen(NO_NAMESPACE);
	}
	(void)snprintf(name, sizeof(SNAPSHOT_LEASE_PREFIX) + NAMESPACE_MAX,
		       SNAPSHOT_LEASE_PREFIX "%.*s", (int)length, key);
}

int snapshot_keys_lease(struct manager *m, const char *key, struct lease **ret_lease,
			struct error *e)
{
	char name[sizeof(SNAPSHOT_LEASE_PREFIX) + NAMESPACE_MAX];
	struct lease *l;

	manager_assert_locked(m);
	name_lease(key, name);
	l = hashmap_find(m->leases, name);
	if (!l) {
		l = lease_new(name, clock_wall_ns(), 0, 0);
		if (!l || hashmap_insert(m->leases, l->name, l) < 0) {
			lease_free(l);
			return error_set(e, -ENOMEM, "out of memory");
		}
	}
	l->users++;
	*ret_lease = l;
	return 0;
}

void snapshot_keys_put_lease(struct manager *m, struct lease *l)
{
	lease_table_put(m, l);
	if (l->users > 0 || l->holds)
		return;
	(void)hashmap_remove(m->leases, l->name); /* the same lease */
	lease_free(l);
}

struct hold *snapshot_keys_hold(const struct record *r)
{
	for (struct hold *h = r->holds; h; h = h->next_of_record)
		if (snapshot_lease_is_one(h->lease->name))
			return h;
	return NULL;
}

int64_t snapshot_keys_root_bytes(const struct stat *root)
{
	int64_t allocated = root->st_blocks * 512;
	int64_t block = root->st_blksize > 0 ? root->st_blksize : 1;
	int64_t entries = (root->st_size + block - 1) / block * block;

	/* Not the block of extended attributes that a mounted overlay leaves at its upper's root:
	 * it is none of the snapshot's. */
	return entries < allocated ? entries : allocated;
}

int64_t snapshot_keys_root_ctime_ns(const struct stat *root)
{
	return root->st_ctim.tv_sec * NS_PER_S + root->st_ctim.tv_nsec;
}
