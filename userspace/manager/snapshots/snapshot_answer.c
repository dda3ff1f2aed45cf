/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients parse these answers. BuildKit takes the difference of two snapshots from their lists of
 * layers when every option is one that it knows (lowerdir, upperdir, workdir, index=off, userxattr,
 * redirect_dir), and when one list continues the other. It and containerd walk upperdir and the
 * lowerdirs by path, without following a link at the end. So every list ends with the store's empty
 * directory, which makes an overlay even of a view of one layer: a plain bind mount of that layer
 * would hide what is read through it from the counters.
 */
#include "manager/snapshots/snapshot_answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "manager/mounts/mount_list.h"
#include "manager/state/layer_watch.h"
#include "manager/state/store_files.h"

void snapshot_mount_free(struct snapshot_mount *mount)
{
	free(mount->source);
	for (size_t i = 0; i < mount->option_count; i++)
		free(mount->options[i]);
	*mount = (struct snapshot_mount){ 0 };
}

bool snapshot_answer_can_name(const char *root)
{
	return !strpbrk(root, "\\:,");
}

/* Takes the option; NULL stands for one that there was no memory for. */
static void add_option(struct snapshot_mount *mount, char *option)
{
	mount->options[mount->option_count++] = option;
}

static void add_directory(struct snapshot_mount *mount, const struct manager *m, const char *key,
			  const struct layer *layer, const char *leaf)
{
	struct strbuf option = { 0 };

	strbuf_appendf(&option, "%s=%s/layers/%s/%s", key, m->root, layer->name, leaf);
	add_option(mount, strbuf_take(&option));
}

/* With the lock: the layers of the chain, the topmost first. */
static void add_lowers(struct snapshot_mount *mount, const struct manager *m,
		       const struct record *top)
{
	struct strbuf option = { 0 };

	manager_assert_locked(m);
	strbuf_append(&option, "lowerdir=");
	for (const struct record *r = top; r; r = r->parent)
		strbuf_appendf(&option, "%s/layers/%s/fs:", m->root, r->layer->name);
	strbuf_appendf(&option, "%s/empty", m->root);
	add_option(mount, strbuf_take(&option));
}

static void fill_overlay(struct snapshot_mount *mount, const struct manager *m,
			 const struct record *r)
{
	mount->type = "overlay";
	mount->source = strdup("overlay");
	/* Layers have to mean the same by themselves, whatever the kernel's defaults. */
	add_option(mount, strdup("index=off"));
	if (m->features.redirects)
		add_option(mount, strdup("redirect_dir=off"));
	if (r->snapshot->kind == SNAPSHOT_ACTIVE) {
		add_directory(mount, m, "workdir", r->layer, "work");
		add_directory(mount, m, "upperdir", r->layer, "fs");
	}
	add_lowers(mount, m, r->parent);
}

static void fill_bind(struct snapshot_mount *mount, char *source, bool read_only)
{
	mount->type = "bind";
	mount->source = source;
	add_option(mount, strdup(read_only ? "ro" : "rw"));
	add_option(mount, strdup("rbind"));
}

/* Without a parent the layer itself is all there is. Its owner may mount it several times, as
 * BuildKit does with a cache mount that steps share, which two overlays would not survive. */
static void fill_bind_of_layer(struct snapshot_mount *mount, const struct manager *m,
			       const struct record *r)
{
	struct strbuf source = { 0 };

	strbuf_appendf(&source, "%s/layers/%s/fs", m->root, r->layer->name);
	fill_bind(mount, strbuf_take(&source), r->snapshot->kind == SNAPSHOT_VIEW);
}

static bool is_whole(const struct snapshot_mount *mount)
{
	for (size_t i = 0; i < mount->option_count; i++)
		if (!mount->options[i])
			return false;
	return mount->source;
}

/* With the lock. */
static void note_handed_out(const struct record *r)
{
	manager_assert_some_locked();
	for (; r; r = r->parent)
		r->layer->handed_out = true;
}

int snapshot_answer(struct manager *m, const struct record *r, struct snapshot_mount *ret_mount,
		    struct error *e)
{
	cleanup(snapshot_mount_free) struct snapshot_mount mount = { 0 };

	layer_watch_chain(m, r);
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	if (r->mount)
		fill_bind(&mount, mount_list_path(locked, r, false),
			  r->snapshot->kind == SNAPSHOT_VIEW);
	else if (r->parent)
		fill_overlay(&mount, locked, r);
	else
		fill_bind_of_layer(&mount, locked, r);
	if (!is_whole(&mount))
		return error_set(e, -ENOMEM, "out of memory");
	if (!r->mount)
		note_handed_out(r);
	*ret_mount = mount;
	mount = (struct snapshot_mount){ 0 };
	return 0;
}
