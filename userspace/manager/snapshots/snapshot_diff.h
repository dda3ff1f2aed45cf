/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot has on top of its parent, as a layer's tar: the files of its own layer, which are
 * read past whatever is mounted. */
#pragma once

#include "layer/tar_diff.h"
#include "manager/snapshots/snapshot_mounted.h"

struct snapshot_diff_options {
	enum tar_compression compression;
	const struct timespec *newest; /* no file is younger in the tar; NULL: as they are */
	/* Opens what the tar is written to; *ret_fd is then the agent's. It is called once, when it
	 * is known that there will be a tar. The namespace of containerd is the snapshot's. */
	int (*open_output)(void *user, const char *namespace, int *ret_fd, struct error *e);
	void *user;
	const atomic_bool *cancelled; /* may be NULL */
};

/* The mounts on the left show the older tree, those on the right the newer one. -EOPNOTSUPP: they
 * are not those of a snapshot and its parent, or the files change while they are read: another
 * program may compare the trees. And the errors of tar_diff() and open_output(). */
int snapshot_diff(struct manager *m, const struct snapshot_mount_text *left, size_t left_count,
		  const struct snapshot_mount_text *right, size_t right_count,
		  const struct snapshot_diff_options *options, struct tar_diff_result *ret_result,
		  struct error *e);
