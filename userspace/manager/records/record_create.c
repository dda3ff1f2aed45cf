/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New records. Database "creating", layer, mount, database "live"; a crash in between leaves what
 * recover discards, and a failure is undone here.
 */
#include "manager/records/record_create.h"

#include <errno.h>
#include <string.h>

#include "manager/content/content_extract.h"
#include "manager/state/lease_table.h"
#include "manager/state/manager_state.h"
#include "manager/mounts/mount_list.h"
#include "manager/mounts/mount_attach.h"
#include "manager/records/record_draft.h"
#include "manager/state/store_files.h"
#include "store/record_rows.h"

static int reserve_new(struct manager *m, const struct record_options *o, struct lease *l,
		       struct record **r, struct error *e)
{
	struct record *parent = NULL;
	int code = 0;

	if (o->parent && *o->parent) {
		code = record_draft_find_parent(m, o->parent, &parent, e);
		if (code == 0)
			code = content_extract_if_lazy(m, &parent, o->cancelled, e);
	}
	return code < 0 ? code : record_draft_insert(m, r, parent, l, e);
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

int record_create(struct manager *m, const struct record_options *options,
		  const struct lease_holder *holder, char ret_id[RECORD_ID_LENGTH + 1],
		  char **ret_mountpoint, struct error *e)
{
	cleanup(free_ptr) char *mountpoint = NULL;
	cleanup(record_free) struct record *unborn = NULL;
	cleanup(mount_list_free) struct mount *mount = NULL;
	cleanup(id_map_free) struct id_map map = { 0 };
	struct record *r;
	struct lease *l;
	bool files = false;
	int code = record_draft_check(options, e);

	if (code == 0)
		code = id_map_parse(options->uid_map, options->gid_map, &map, e);
	if (code < 0)
		return code;
	unborn = record_draft_build(options, &map);
	if (!unborn)
		return error_set(e, -ENOMEM, "out of memory");
	manager_lock(m);
	code = lease_table_find(m, holder, &l, e);
	if (code == 0) {
		if (!id_map_is_set(&map) && id_map_copy(&l->id_map, &unborn->id_map) < 0)
			code = error_set(e, -ENOMEM, "out of memory");
		else
			code = reserve_new(m, options, l, &unborn, e);
		if (code < 0)
			lease_table_put(m, l);
	}
	manager_unlock(m);
	if (code < 0)
		return code;
	r = take_ptr(unborn);

	code = write_new(m, r, &mount, e);
	if (code == 0) {
		code = store_files_make(m, r->layer->name, e);
		files = code == 0;
	}
	if (code == 0)
		code = mount_attach_prepared(m, r, take_ptr(mount), e);
	if (code == 0 && !(mountpoint = mount_list_path(m, r, false)))
		code = error_set(e, -ENOMEM, "out of memory");
	if (code == 0)
		code = write_live(m, r, l, e);
	if (code < 0)
		record_draft_undo(m, r, mount, files);
	manager_lock(m);
	if (code == 0) {
		r->state = RECORD_LIVE;
		memcpy(ret_id, r->id, sizeof(r->id));
		manager_unreserve(m, r);
	}
	lease_table_put(m, l);
	manager_unlock(m);
	if (code < 0)
		return code;
	*ret_mountpoint = take_ptr(mountpoint);
	return 0;
}
