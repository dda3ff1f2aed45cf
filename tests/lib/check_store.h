/* SPDX-License-Identifier: Apache-2.0 */
/* A store for tests of userspace/overlay: the directories that it expects, and as many layers as a
 * test asks for. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "overlay/overlay_features.h"

struct check {
	const char *path; /* of the store */
	int store;
	struct overlay_features features;
	unsigned int last_layer; /* names are numbers */
};

struct layer_name {
	char text[16];
};

bool failed_at(int line, const char *condition, const struct error *e);

#define require(condition)                                         \
	do {                                                       \
		if (!(condition))                                  \
			return failed_at(__LINE__, #condition, e); \
	} while (0)

bool make_store(const char *path, struct check *ret_check);
bool write_file(int directory, const char *name);
bool has_file(int directory, const char *name);
/* Adds a layer that has a file of the layer's name. A failure here makes the later mount fail. */
struct layer_name add_layer(struct check *c);
bool has_in_layer(struct check *c, const char *layer, const char *name);
/* Mounts a lower and an upper, or the lower read-only when `upper` is NULL. */
int mount_pair(struct check *c, const char *lower, const char *upper, int *ret_mount,
	       struct error *e);
size_t count_mounts(const struct check *c);
bool is_empty(int parent, const char *name);
/* Makes a new writable mount at mounts/NAME; returns the directory mounts, or -1. */
int check_attach_new(struct check *c, const char *name, int *ret_mount, struct error *e);
