/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New records. Database "creating", layer, mount, database "live"; a crash in between leaves what
 * recover discards, and a failure is undone here.
 */
#include "manager/records/record_create.h"

#include <errno.h>
#include <string.h>

#include "manager/state/lease_use.h"
#include "manager/content/content_extract.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/mount_attach.h"
#include "manager/records/record_draft.h"
#include "manager/state/store_files.h"
#include "store/layer_rows.h"
#include "store/record_rows.h"

/* With the lock, which is given back while the parent is finalized or gets its files. */
static int find_parent(struct manager *m, const struct record_options *o,
		       struct record **ret_parent, struct error *e)
{
	int code;

	*ret_parent = NULL;
	if (!o->parent || !*o->parent)
		return 0;
	code = record_draft_find_parent(m, o->parent, ret_parent, e);
	return code < 0 ? code : content_extract_if_lazy(m, ret_parent, o->cancelled, e);
}

/* Puts *unborn into the graph, held by the holder's lease, whose map of ids it gets when it has
 * none; what is in the graph is no longer in *unborn. */
static int reserve_new(struct manager *m, const struct record_options *o,
		       const struct lease_holder *holder, struct record **unborn,
		       struct lease_use *ret_use, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *parent;
	int code = lease_use_begin(locked, holder, ret_use, e);

	if (code < 0)
		return code;
	if (!id_map_is_set(&(*unborn)->id_map) &&
	    id_map_copy(&ret_use->lease->id_map, &(*unborn)->id_map) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	code = find_parent(locked, o, &parent, e);
	if (code < 0)
		return code;
	code = record_draft_insert(locked, unborn, parent, ret_use->lease, "", e);
	if (code == 0)
		*unborn = NULL;
	return code;
}

/* The row that says "creating", and already the one of its mount. */
static int write_new(struct manager *m, const struct record *r, struct mount **ret_mount,
		     struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	cleanup(mount_list_free) struct mount *mount = NULL;
	int code;

	layer_rows_insert(&c, r->layer->name);
	record_rows_insert(&c, r, RECORD_CREATING);
	mount = mount_attach_prepare(m, r, &r->id_map, &c);
	if (!mount)
		return error_set(e, -ENOMEM, "out of memory");
	code = change_set_write(&c, m->database, DATABASE_RELAXED, e);
	if (code == 0)
		*ret_mount = take_ptr(mount);
	return code;
}

static int write_live(struct manager *m, const struct record *r, const struct lease *l,
		      struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };

	record_rows_set_state(&c, r->id, RECORD_LIVE);
	manager_lock(m);
	lease_table_save_hold(&c, r, l);
	manager_unlock(m);
	return change_set_write(&c, m->database, DATABASE_DURABLE, e);
}

/* Rows, files and mount of a record that is in the graph. *ret_mount: a mount of which there are
 * rows only, on failure; *ret_files: the layer's directories were made. */
static int make(struct manager *m, struct record *r, const struct lease *l,
		struct mount **ret_mount, bool *ret_files, struct error *e)
{
	int code = write_new(m, r, ret_mount, e);

	if (code < 0)
		return code;
	code = store_files_make(m, r->layer->name, e);
	if (code < 0)
		return code;
	*ret_files = true;
	code = mount_attach_prepared(m, r, take_ptr(*ret_mount), e);
	return code < 0 ? code : write_live(m, r, l, e);
}

static void publish(struct manager *m, struct record *r)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	r->state = RECORD_LIVE;
	manager_unreserve(locked, r);
}

int record_create(struct manager *m, const struct record_options *options,
		  const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		  char **ret_mountpoint, struct error *e)
{
	cleanup(free_ptr) char *mountpoint = NULL;
	cleanup(record_free) struct record *unborn = NULL;
	cleanup(mount_list_free) struct mount *mount = NULL;
	cleanup(id_map_free) struct id_map map = { 0 };
	cleanup(lease_use_end) struct lease_use use = { 0 };
	struct record *r;
	bool files = false;
	int code = record_draft_check(options, e);

	if (code < 0)
		return code;
	code = id_map_parse(options->uid_map, options->gid_map, &map, e);
	if (code < 0)
		return code;
	r = unborn = record_draft_build(options, &map);
	mountpoint = unborn ? mount_list_path(m, unborn, false) : NULL;
	if (!mountpoint)
		return error_set(e, -ENOMEM, "out of memory");
	code = reserve_new(m, options, holder, &unborn, &use, e);
	if (code < 0)
		return code;
	code = make(m, r, use.lease, &mount, &files, e);
	if (code < 0) {
		record_draft_undo(m, r, mount, files);
		return code;
	}
	memcpy(ret_id, r->id, sizeof(r->id));
	*ret_mountpoint = take_ptr(mountpoint);
	publish(m, r);
	return 0;
}
