/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "manager/history/history.h"
#include "manager/mounts/mount_list.h"
#include "manager/snapshots/snapshot_content.h"
#include "manager/snapshots/snapshot_keys.h"
#include "manager/state/lower_directories.h"
#include "manager/state/reservation.h"
#include "manager/state/store_files.h"
#include "manager/state/written_layer.h"
#include "overlay/overlay_superblock.h"

/* The parents of a reserved record stay. */
static int open_lowers(struct manager *m, const struct record *r, struct lower_directories *lowers,
		       struct error *e)
{
	for (const struct record *at = r->parent; at; at = at->parent) {
		int code = lower_directories_add(m, lowers, at->layer->name, e);

		if (code < 0)
			return code;
	}
	return 0;
}

static int reserve(struct manager *m, const struct snapshot_mount_text *mounts, size_t count,
		   struct reservation *ret_reserved, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct snapshot_mounted mounted;
	int code = snapshot_mounted_find(locked, mounts, count, &mounted, e);

	if (code < 0)
		return code;
	if (!mounted.writable)
		return error_set(e, -EOPNOTSUPP,
				 "the mounts are not those of an active snapshot of Varve");
	reservation_begin(locked, mounted.top, ret_reserved);
	return 0;
}

static int check_empty(int layer_fd, struct error *e)
{
	int fd = openat(layer_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(close_directory) DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!directory) {
		cleanup_close_fd(&fd);
		return error_set(e, -errno, "open the layer: %s", strerror(errno));
	}
	while ((entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return error_set(e, -EOPNOTSUPP,
					 "the snapshot has files already, such as '%.100s'",
					 entry->d_name);
	return 0;
}

static int check_result(const struct snapshot_apply_options *o, const struct tar_apply_result *r,
			struct error *e)
{
	if (!digest_equal(&o->blob, &r->blob))
		return error_set(e, -EBADMSG, "it is damaged: its digest is %s", r->blob.text);
	if (o->size_bytes > 0 && (uint64_t)o->size_bytes != r->blob_bytes)
		return error_set(e, -EBADMSG,
				 "it has %" PRIu64 " bytes, and its descriptor says %" PRId64,
				 r->blob_bytes, o->size_bytes);
	if (*o->diff_id.text && !digest_equal(&o->diff_id, &r->diff_id))
		return error_set(e, -EBADMSG, "it unpacks to %s, and its descriptor says %s",
				 r->diff_id.text, o->diff_id.text);
	return 0;
}

static int extract(struct manager *m, const struct record *r, int layer_fd,
		   const struct snapshot_apply_options *o, struct tar_apply_result *ret_result,
		   struct error *e)
{
	cleanup(lower_directories_close) struct lower_directories lowers = { 0 };
	cleanup(close_fd) int blob = -EBADF;
	cleanup(free_ptr) char *namespace = NULL;
	struct tar_apply_options options = { .layer_fd = layer_fd,
					     .as_containerd = true,
					     .cancelled = o->cancelled };
	int code = open_lowers(m, r, &lowers, e);

	if (code < 0)
		return code;
	namespace = snapshot_keys_namespace(r->snapshot->key);
	if (!namespace)
		return error_set(e, -ENOMEM, "out of memory");
	code = o->open_blob(o->user, namespace, &blob, e);
	if (code < 0)
		return code;
	options.source_fd = blob;
	options.lower_fds = lowers.fds;
	options.lower_count = lowers.count;
	code = tar_apply(&options, ret_result, e);
	if (code < 0)
		return code;
	code = check_result(o, ret_result, e);
	if (code < 0)
		return code;
	return o->sync ? written_layer_sync(m, r->layer, layer_fd, e) : 0;
}

/* The files came past the overlay that the agent has mounted. Most clients look up nothing in it
 * before; what it remembers of names that were not there yet is dropped. */
static void refresh_mount(struct manager *m, const struct record *r)
{
	char name[MOUNT_POINT_NAME_SIZE];
	struct error late = { 0 };
	int code;

	if (!r->mount)
		return;
	mount_list_point_name(r, false, name);
	code = overlay_superblock_set_read_only(m->mounts_fd, name, false, &late);
	if (code < 0 && code != -EINVAL && code != -ENOENT) /* another process unmounted it */
		manager_report(m, true, "record=%s its mount may not show its files yet: %s", r->id,
			       late.text);
}

static void note_work(struct manager *m, const struct record *r, int64_t begin_ns)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	manager_assert_locked(locked);
	r->layer->size_known = false;
	r->layer->upper_changes++;
	history_took(locked, r->layer->name, begin_ns, clock_wall_ns());
}

static int note_content(struct manager *m, struct record *r, const struct snapshot_apply_options *o,
			const struct tar_apply_result *result, struct error *e)
{
	const struct record_content unpacked = { .blob = result->blob,
						 .diff_id = result->diff_id,
						 .size_bytes = (int64_t)result->blob_bytes,
						 .media_type = (char *)o->media_type };

	return snapshot_content_note(m, r, &unpacked) < 0 ? error_set(e, -ENOMEM, "out of memory")
							  : 0;
}

int snapshot_apply(struct manager *m, const struct snapshot_mount_text *mounts, size_t count,
		   const struct snapshot_apply_options *options,
		   struct tar_apply_result *ret_result, struct error *e)
{
	cleanup(reservation_end) struct reservation reserved = { 0 };
	cleanup(close_fd) int layer_fd = -EBADF;
	int64_t begin;
	struct record *r;
	int code = reserve(m, mounts, count, &reserved, e);

	if (code < 0)
		return code;
	r = reserved.record;
	begin = clock_wall_ns();
	code = store_files_open_layer(m, r->layer->name, &layer_fd, e);
	if (code < 0)
		return code;
	code = check_empty(layer_fd, e);
	if (code < 0)
		return code;
	code = extract(m, r, layer_fd, options, ret_result, e);
	refresh_mount(m, r);
	note_work(m, r, begin);
	if (code == 0)
		code = note_content(m, r, options, ret_result, e);
	if (code < 0)
		return error_context(e, "unpack blob %s", options->blob.text);
	if (ret_result->notes.count > 0)
		manager_report(m, false, "blob=%s left out of it: %" PRIu64 " (%s)",
			       options->blob.text, ret_result->notes.count, ret_result->notes.text);
	return 0;
}
