/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in a layer's directory, each directory before what is in it, the names of one sorted
 * by their bytes. In memory are the names of the directories on the way, no others.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"

struct layer_walk;

struct layer_entry {
	const char *path; /* from the root, which is "" */
	const char *name; /* its last component, in the directory `parent`; "." for the root */
	int parent; /* the walk's, good until the next call, as the texts are */
	struct stat st;
};

int layer_walk_open(int layer_fd, struct layer_walk **ret_walk, struct error *e);
void layer_walk_free(struct layer_walk *w);
DEFINE_CLEANUP(struct layer_walk *, layer_walk_free)

/* 1, or 0 at the end. -EXDEV: something is mounted there; -ESTALE: the layer changes. */
int layer_walk_next(struct layer_walk *w, struct layer_entry *ret_entry, struct error *e);
