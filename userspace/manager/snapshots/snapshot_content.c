/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_content.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "image/chain_id.h"
#include "manager/snapshots/snapshot_keys.h"

int snapshot_content_note(struct manager *m, struct record *r,
			  const struct record_content *unpacked)
{
	struct record_content *copy = record_content_copy(unpacked);

	if (!copy)
		return -ENOMEM;
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	manager_assert_locked(locked);
	record_content_free(r->snapshot->unpacked);
	r->snapshot->unpacked = copy;
	r->snapshot->unpacked_ns = clock_wall_ns();
	return 0;
}

/* A chain is known as far as every layer of it is. */
static bool is_verified(const struct record *r, int64_t changed_ns)
{
	return r->snapshot->unpacked && changed_ns <= r->snapshot->unpacked_ns &&
	       (!r->parent || r->parent->content);
}

int snapshot_content_verified(const struct manager *m, const struct record *r, const char *name,
			      int64_t changed_ns, struct record_content **ret_content)
{
	cleanup(record_content_free) struct record_content *content = NULL;
	const struct record_content *below = r->parent ? r->parent->content : NULL;

	manager_assert_locked(m);
	*ret_content = NULL;
	if (!is_verified(r, changed_ns))
		return 0;
	content = record_content_copy(r->snapshot->unpacked);
	if (!content ||
	    chain_id_append(below ? &below->chain_id : NULL, &content->diff_id,
			    &content->chain_id) < 0 ||
	    chain_id_append_blob(below ? &below->blob_chain_id : NULL, &content->blob,
				 &content->diff_id, &content->blob_chain_id) < 0)
		return -ENOMEM;
	if (strcmp(snapshot_keys_name(name), content->chain_id.text) == 0)
		*ret_content = take_ptr(content);
	return 0;
}
