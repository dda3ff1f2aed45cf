/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything below a directory, which others may change meanwhile: every name is resolved alone, in
 * a descriptor of its directory, so that no link is followed and nothing outside is seen, whatever
 * is renamed or replaced, and however deep the tree. A bounded number of descriptors is open. Used
 * for exports, sizes, lists of files and checks.
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
	/* Names sorted by their bytes, and what is in a directory right behind it; in memory are
	 * the names of all directories on the way. Otherwise: all of a directory, then what is in
	 * its subdirectories; in memory are the names of subdirectories only. */
	bool sorted;
	/* Pass over what vanishes meanwhile and what is on another file system. Otherwise these are
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
