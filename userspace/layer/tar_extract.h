/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry of an archive at a time becomes what it says, beneath the layer's directory. Knows the
 * file system's side; tar_apply.c brings entries and data.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/lower_layers.h"
#include "layer/tar_notes.h"
#include "layer/tar_reader.h"

struct tar_extract;

/* `notes` is borrowed. `as_containerd`: see struct tar_apply_options. */
int tar_extract_new(int layer_fd, const struct lower_layers *lowers, bool as_containerd,
		    struct tar_notes *notes, struct tar_extract **ret_extract, struct error *e);
void tar_extract_free(struct tar_extract *x);
DEFINE_CLEANUP(struct tar_extract *, tar_extract_free)

/* *ret_fd is the open file when the entry has content to come, else -1: then it is done. The
 * entry's name is not part of the errors' texts. */
int tar_extract_entry(struct tar_extract *x, const struct tar_entry *entry, int *ret_fd,
		      struct error *e);
/* The content is there: owner, mode, attributes, times. */
int tar_extract_finish_file(struct tar_extract *x, const struct tar_entry *entry, int fd,
			    struct error *e);
/* After the last entry. */
int tar_extract_end(struct tar_extract *x, struct error *e);
