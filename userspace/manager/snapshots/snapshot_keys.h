/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, leases and labels of snapshots. */
#pragma once

#include <sys/stat.h>

#include "manager/state/manager_state.h"

/* What containerd's own store takes; the whole of a request is limited by the transport. */
#define SNAPSHOT_KEY_MAX 32768
#define SNAPSHOT_LABELS_MAX 1024

/* Checks the length of a key, or of a name, as `what` says. -EINVAL. */
int snapshot_keys_check(const char *what, const char *key, struct error *e);

/* The key as a record's description: control characters are escaped, and a long key is cut. NULL:
 * no memory. */
char *snapshot_keys_describe(const char *key);

/* The namespace of containerd that a key starts with, the caller's to free; NULL: no memory. */
char *snapshot_keys_namespace(const char *key);

bool snapshot_keys_is_in(const char *key, const char *namespace);

/* What containerd's client calls the snapshot: the key without "NAMESPACE/NUMBER/" before it. */
const char *snapshot_keys_name(const char *key);

/* A record in no graph that has the labels, or -EINVAL. */
int snapshot_keys_draft(const struct record_label *labels, size_t count, struct record **ret_draft,
			struct error *e);

/* A snapshot of no record yet, made now; NULL: no memory. */
struct snapshot *snapshot_keys_new(const char *key, enum snapshot_kind kind);

/* With the lock. -EEXIST, -ENOMEM. */
int snapshot_keys_insert(struct manager *m, struct snapshot *s);
void snapshot_keys_remove(struct manager *m, const char *key);

/* With the lock: all snapshots in the order of their keys, until the next change; NULL: no memory.
 */
struct snapshot **snapshot_keys_sorted(struct manager *m, size_t *ret_count);

/* With the lock: the snapshot, once no other thread works on it; NULL: none. Sets *ret_waited when
 * the lock was given back meanwhile. */
struct snapshot *snapshot_keys_find(struct manager *m, const char *key, bool *ret_waited);

/* Like snapshot_keys_find(), but an error when there is none: -ENOENT. */
int snapshot_keys_get(struct manager *m, const char *key, struct snapshot **ret_snapshot,
		      struct error *e);

/* With the lock: the lease of the key's namespace, made when there is none; as lease_table_find().
 */
int snapshot_keys_lease(struct manager *m, const char *key, struct lease **ret_lease,
			struct error *e);

/* Like lease_table_put(), and frees a lease that holds nothing. */
void snapshot_keys_put_lease(struct manager *m, struct lease *l);

/* The hold that keeps a snapshot. */
struct hold *snapshot_keys_hold(const struct record *r);

/* What a layer's root directory adds to a snapshot's size. */
int64_t snapshot_keys_root_bytes(const struct stat *root);

/* The change time of a layer's root directory. */
int64_t snapshot_keys_root_ctime_ns(const struct stat *root);
