/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks over everything below a directory, which other processes may change meanwhile. Each name is
 * resolved alone, in a descriptor of its directory, so no link is followed and nothing outside is
 * seen, whatever is renamed or replaced. Uses a bounded number of descriptors, however deep the
 * tree. For exports, sizes, lists of files and checks.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"

struct layer_walk;

struct layer_walk_options {
	int directory; /* borrowed */
	/* If set, names are sorted by their bytes and a directory's content follows it directly;
	 * the names of all directories on the way are in memory. Otherwise, all entries of a
	 * directory come first, then those of its subdirectories; only names of subdirectories are
	 * in memory. */
	bool sorted;
	/* Skip entries that vanish meanwhile and those on other file systems. Otherwise these are
	 * errors, because the result would not be the layer. */
	bool tolerant;
	const atomic_bool *cancelled; /* may be NULL */
};

struct layer_entry {
	const char *path; /* from the directory, which is ""; of any length */
	const char *name; /* its last component, in the directory `parent`; "." for the root */
	int parent; /* the walk's, good until the next call, as the texts are */
	struct stat st;
};

int layer_walk_open(const struct layer_walk_options *options, struct layer_walk **ret_walk,
		    struct error *e);
void layer_walk_free(struct layer_walk *w);
DEFINE_CLEANUP(struct layer_walk *, layer_walk_free)

/* 1, or 0 at the end. The first entry is the directory itself. -EXDEV: something is mounted there;
 * -ESTALE: the layer changes; -ECANCELED. */
int layer_walk_next(struct layer_walk *w, struct layer_entry *ret_entry, struct error *e);
