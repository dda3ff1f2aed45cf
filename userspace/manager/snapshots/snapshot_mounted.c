/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_mounted.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct error *e)
{
	return error_set(e, -EOPNOTSUPP, "the mounts are not those of a snapshot of Varve");
}

/* ---- paths ---- */

/* What follows the store's path and `folder`; NULL when the path leads elsewhere. */
static const char *beneath(const struct manager *m, const char *path, const char *folder)
{
	size_t root = strlen(m->root), length = strlen(folder);

	if (strncmp(path, m->root, root) != 0 || strncmp(path + root, folder, length) != 0)
		return NULL;
	return path + root + length;
}

/* NULL: the path is not that of a layer's files. */
static struct layer *find_layer(const struct manager *m, const char *path, size_t length)
{
	cleanup(free_ptr) char *whole = strndup(path, length);
	char name[LAYER_NAME_LENGTH + 1] = "";
	const char *rest = whole ? beneath(m, whole, "/layers/") : NULL;
	size_t size = rest ? strcspn(rest, "/") : 0;

	if (size == 0 || size > LAYER_NAME_LENGTH || strcmp(rest + size, "/fs") != 0)
		return NULL;
	memcpy(name, rest, size);
	return record_graph_find_layer(m->graph, name);
}

static struct record *find_by_mount_point(const struct manager *m, const char *path)
{
	const char *id = beneath(m, path, "/mnt/");
	struct record *r = id ? record_graph_find(m->graph, id) : NULL;

	return r && r->snapshot ? r : NULL;
}

/* The snapshot that owns the layer. A view owns an empty one, which it does not show. */
static struct record *find_owner(const struct layer *layer)
{
	for (struct record *r = layer->first_owner; r; r = r->next_owner)
		if (r->snapshot && r->snapshot->kind != SNAPSHOT_VIEW)
			return r;
	return NULL;
}

/* ---- options ---- */

static const char *find_option(const struct snapshot_mount_text *mount, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < mount->option_count; i++)
		if (strncmp(mount->options[i], name, length) == 0 &&
		    mount->options[i][length] == '=')
			return mount->options[i] + length + 1;
	return NULL;
}

static bool has_flag(const struct snapshot_mount_text *mount, const char *name)
{
	for (size_t i = 0; i < mount->option_count; i++)
		if (strcmp(mount->options[i], name) == 0)
			return true;
	return false;
}

/* Are the lowers exactly the record and what is below it, and the store's empty directory? */
static bool is_chain(const struct manager *m, const char *lowers, const struct record *r)
{
	const char *empty;

	for (; r; r = r->parent) {
		size_t length = strcspn(lowers, ":");

		if (find_layer(m, lowers, length) != r->layer)
			return false;
		lowers += length + (lowers[length] == ':');
	}
	empty = beneath(m, lowers, "/empty");
	return empty && !*empty;
}

/* ---- kinds of mounts ---- */

/* With the agent's mounts, the record itself; a view shows its parent. */
static int find_bind(struct manager *m, const struct snapshot_mount_text *mount,
		     struct snapshot_mounted *ret_mounted, struct error *e)
{
	struct record *r = find_by_mount_point(m, mount->source);
	struct layer *layer;

	if (r) {
		bool is_view = r->snapshot->kind == SNAPSHOT_VIEW;

		*ret_mounted = (struct snapshot_mounted){ is_view ? r->parent : r,
							  r->snapshot->kind == SNAPSHOT_ACTIVE };
		return 0;
	}
	layer = find_layer(m, mount->source, strlen(mount->source));
	r = layer ? find_owner(layer) : NULL;
	if (r && r->parent)
		return refuse(e); /* one layer of several */
	if (r)
		*ret_mounted = (struct snapshot_mounted){ r, r->snapshot->kind == SNAPSHOT_ACTIVE &&
								     !has_flag(mount, "ro") };
	else if (layer) /* the empty layer of a view without a parent */
		*ret_mounted = (struct snapshot_mounted){ 0 };
	return layer ? 0 : refuse(e);
}

static int find_overlay(struct manager *m, const struct snapshot_mount_text *mount,
			struct snapshot_mounted *ret_mounted, struct error *e)
{
	const char *upper = find_option(mount, "upperdir"),
		   *lowers = find_option(mount, "lowerdir");
	const char *top = upper ? upper : lowers;
	struct layer *layer = top ? find_layer(m, top, strcspn(top, ":")) : NULL;
	struct record *r = layer ? find_owner(layer) : NULL;

	if (!r || !lowers || !is_chain(m, lowers, upper ? r->parent : r))
		return refuse(e);
	*ret_mounted =
		(struct snapshot_mounted){ r, upper && r->snapshot->kind == SNAPSHOT_ACTIVE };
	return 0;
}

static int find(struct manager *m, const struct snapshot_mount_text *mount,
		struct snapshot_mounted *ret_mounted, struct error *e)
{
	if (strcmp(mount->type, "bind") == 0)
		return find_bind(m, mount, ret_mounted, e);
	if (strcmp(mount->type, "overlay") == 0)
		return find_overlay(m, mount, ret_mounted, e);
	return refuse(e);
}

int snapshot_mounted_find(struct manager *m, const struct snapshot_mount_text *mounts, size_t count,
			  struct snapshot_mounted *ret_mounted, struct error *e)
{
	int code;

	manager_assert_locked(m);
	*ret_mounted = (struct snapshot_mounted){ 0 };
	if (count == 0)
		return 0;
	if (count > 1)
		return refuse(e);
	for (;;) {
		code = find(m, mounts, ret_mounted, e);
		if (code < 0 || !ret_mounted->top || !ret_mounted->top->busy)
			return code;
		manager_wait(m);
	}
}
