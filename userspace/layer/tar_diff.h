/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a layer's directory (an overlay upper, or a lower) as an OCI layer: whiteouts as .wh.
 * files, opaque directories as .wh..wh..opq, entries sorted, the same bytes every time. Of the
 * stream both digests are taken on the way. The uncompressed stream depends on the content alone;
 * the compressed one on the libraries' versions and, for gzip, on the kind of CPU too.
 * Sparse files are written in full, sockets left out.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/digest.h"
#include "base/error.h"
#include "layer/tar_compression.h"

struct tar_diff_options {
	int layer_fd; /* borrowed */
	int output_fd; /* borrowed; written from where it stands */
	enum tar_compression compression;
	const struct timespec *newest; /* of the times of files; NULL: as they are */
	const atomic_bool *cancelled; /* may be NULL */
	/* Bytes of files read so far; may be NULL. */
	void (*progress)(uint64_t file_bytes, void *user);
	void *user;
};

struct tar_diff_result {
	struct digest blob, diff_id;
	uint64_t blob_bytes, diff_bytes, entries;
};

/* Errors name the file. -ECANCELED; -ESTALE: a file changed while it was read; -EXDEV: something is
 * mounted in the layer; -EOPNOTSUPP: a name like a whiteout's, or a file or directory whose rest is
 * in a lower layer (metacopy, redirect). Nothing of the output is synced. */
int tar_diff(const struct tar_diff_options *options, struct tar_diff_result *ret_result,
	     struct error *e);
