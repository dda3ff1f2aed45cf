/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's tar becomes the files of an active snapshot that has none yet: it is extracted into the
 * directory of the layer, past whatever is mounted on top of it. Only the snapshot's commit says
 * that they are there: until then a crash, or an apply that fails, leaves some of the files, and
 * the snapshot for its owner to remove.
 */
#pragma once

#include "layer/tar_apply.h"
#include "manager/snapshots/snapshot_mounted.h"

struct snapshot_apply_options {
	struct digest blob;
	int64_t size_bytes; /* of the blob; 0: not known */
	struct digest diff_id; /* that is expected; "": any */
	const char *media_type; /* of the blob */
	bool sync; /* before it returns */
	/* Opens the blob, a file or a pipe; *ret_fd is then the agent's. It is called once, when
	 * it is known that the blob is wanted. The namespace of containerd is the snapshot's. */
	int (*open_blob)(void *user, const char *namespace, int *ret_fd, struct error *e);
	void *user;
	const atomic_bool *cancelled; /* may be NULL */
};

/* -EOPNOTSUPP: the mounts are not those of an active snapshot, or the snapshot has files already:
 * another program may apply the layer by way of the mounts. -EBADMSG: the blob is not what its
 * digests say. And the errors of tar_apply() and open_blob(). */
int snapshot_apply(struct manager *m, const struct snapshot_mount_text *mounts, size_t count,
		   const struct snapshot_apply_options *options,
		   struct tar_apply_result *ret_result, struct error *e);
