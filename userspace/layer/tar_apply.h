/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extracts a layer's tar, plain or compressed with gzip or zstd, into a layer's directory, and
 * takes both digests on the way: one pass. Whiteouts become overlayfs' own. Nothing outside of the
 * directory is ever touched, whatever the archive says. Needs CAP_SYS_ADMIN and CAP_MKNOD.
 *
 * What is applied is not synced: the caller calls layer_sync() before it says that the layer is
 * there, once for all that it applied. A sync of each file would cost a journal commit each.
 *
 * Names: leading slashes and "." go; ".." that would lead above the root is refused. Where an
 * entry's directory is a symbolic link of the same layer, the entry goes to where that leads, with
 * the layer as root; no link is followed out of it. A hard link's target must be in the same layer.
 * The later of two entries wins. Whiteouts hide lower layers only, also when the name has an entry
 * here. An archive may be empty, and may end without its two blocks of zeros where an entry ends,
 * as others allow: cut off there, only its digest tells. What is left out is in the result's notes:
 * trusted.overlay.*, attributes that the kernel refuses, bytes after the archive's end. A device
 * 0:0 is refused.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "layer/tar_notes.h"

struct tar_apply_options {
	int source_fd; /* borrowed; read from where it stands to its end: a file or a pipe */
	int layer_fd; /* borrowed; an empty directory */
	/* The directories of the layers below, newest first; borrowed. Directories that have no
	 * entry of their own get owner, mode and attributes from there, as a copy-up would. May be
	 * NULL. */
	const int *lower_fds;
	size_t lower_count;
	/* As containerd extracts: the layer's root keeps its attributes, whatever the archive says
	 * of it, and the entry of a hard link changes the attributes of the file. */
	bool as_containerd;
	bool no_nodes; /* only directories, regular files and links come out; others are -EPERM */
	uint64_t max_entries; /* 0: TAR_APPLY_MAX_ENTRIES */
	uint64_t max_bytes; /* of the uncompressed stream; 0: no limit but the file system's */
	const atomic_bool *cancelled; /* may be NULL */
	/* Bytes of the source read so far; called from any one thread; may be NULL. */
	void (*progress)(uint64_t source_bytes, void *user);
	void *user;
};

#define TAR_APPLY_MAX_ENTRIES 4000000

struct tar_apply_result {
	struct digest blob, diff_id; /* of the source as it is, and of the uncompressed stream */
	uint64_t blob_bytes, diff_bytes; /* of these */
	uint64_t entries;
	struct tar_notes notes; /* what was left out */
};

/*
 * On failure the directory is left half filled: its owner discards it. Errors name the entry:
 * -EBADMSG cut off or corrupt; -EPERM an entry that would lead out of the layer; -EFBIG over a
 * limit; -EOPNOTSUPP a kind of entry or compression that is not known; -ECANCELED; -ENOSPC, also
 * when too little would stay free (space_limit.h); and others of the file system.
 */
int tar_apply(const struct tar_apply_options *options, struct tar_apply_result *ret_result,
	      struct error *e);
