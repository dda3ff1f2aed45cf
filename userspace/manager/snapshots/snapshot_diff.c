/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_diff.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/store_files.h"

/* The snapshot whose layer is wanted. Nothing keeps it meanwhile. */
struct subject {
	char id[RECORD_ID_LENGTH + 1];
	char layer[LAYER_NAME_LENGTH + 1];
	char *namespace;
};

static void subject_free(struct subject *s)
{
	free(s->namespace);
}
DEFINE_CLEANUP_VALUE(struct subject, subject_free)

static int find_subject(struct manager *m, const struct snapshot_mount_text *left,
			size_t left_count, const struct snapshot_mount_text *right,
			size_t right_count, struct subject *ret_subject, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot_mounted older, newer;
	char base[RECORD_ID_LENGTH + 1] = "";
	int code = snapshot_mounted_find(locked, left, left_count, &older, e);

	if (code < 0)
		return code;
	if (older.top)
		memcpy(base, older.top->id, sizeof(base));
	/* This may wait: the older one is then known by its id only. */
	code = snapshot_mounted_find(locked, right, right_count, &newer, e);
	if (code < 0)
		return code;
	if (!newer.top || strcmp(newer.top->parent ? newer.top->parent->id : "", base) != 0)
		return error_set(e, -EOPNOTSUPP,
				 "the mounts are not those of a snapshot and of its parent");
	memcpy(ret_subject->id, newer.top->id, sizeof(ret_subject->id));
	memcpy(ret_subject->layer, newer.top->layer->name, sizeof(ret_subject->layer));
	ret_subject->namespace = snapshot_keys_namespace(newer.top->snapshot->key);
	return ret_subject->namespace ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/* Files of a snapshot that is removed may disappear while they are read. */
static int check_still_there(struct manager *m, const struct subject *s, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	const struct record *r = record_graph_find(locked->graph, s->id);

	if (r && strcmp(r->layer->name, s->layer) == 0)
		return 0;
	return error_set(e, -ENOENT, "the snapshot was removed meanwhile");
}

static int write_tar(struct manager *m, const struct subject *s,
		     const struct snapshot_diff_options *o, struct tar_diff_result *ret_result,
		     struct error *e)
{
	cleanup(close_fd) int layer_fd = -EBADF, output = -EBADF;
	struct tar_diff_options options = { .compression = o->compression,
					    .newest = o->newest,
					    .cancelled = o->cancelled };
	int code = store_files_open_layer(m, s->layer, &layer_fd, e);

	if (code < 0)
		return code;
	code = o->open_output(o->user, s->namespace, &output, e);
	if (code < 0)
		return code;
	options.layer_fd = layer_fd;
	options.output_fd = output;
	code = tar_diff(&options, ret_result, e);
	if (code == -ESTALE)
		return error_set(e, -EOPNOTSUPP, "the files change while they are read");
	return code;
}

int snapshot_diff(struct manager *m, const struct snapshot_mount_text *left, size_t left_count,
		  const struct snapshot_mount_text *right, size_t right_count,
		  const struct snapshot_diff_options *options, struct tar_diff_result *ret_result,
		  struct error *e)
{
	cleanup(subject_free) struct subject subject = { 0 };
	int code = find_subject(m, left, left_count, right, right_count, &subject, e);

	if (code < 0)
		return code;
	code = write_tar(m, &subject, options, ret_result, e);
	if (code < 0)
		return error_context(e, "pack layer %s", subject.layer);
	return check_still_there(m, &subject, e);
}
