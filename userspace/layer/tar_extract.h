/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the file of one archive entry at a time, beneath the layer's directory. tar_apply.c
 * supplies entries and data.
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

/* ret_fd is the open file if content follows; -1: the entry is complete. Texts of errors do not
 * name the entry. */
int tar_extract_entry(struct tar_extract *x, const struct tar_entry *entry, int *ret_fd,
		      struct error *e);
/* After the content: sets owner, mode, attributes and times. */
int tar_extract_finish_file(struct tar_extract *x, const struct tar_entry *entry, int fd,
			    struct error *e);
/* Must be called after the last entry. */
int tar_extract_end(struct tar_extract *x, struct error *e);
