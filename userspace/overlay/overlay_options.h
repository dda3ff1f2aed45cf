/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an overlay mount is asked for, as text: the options apart from the directories, and all of
 * them in the one string that mount(2) takes. Pure. Used by overlay_mount.c and overlay_staging.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/id_map.h"
#include "overlay/overlay_features.h"

/* The kernel's own limit, OVL_MAX_STACK: 500 lowers (6.1, 6.12, 6.18). */
#define OVERLAY_MAX_LOWERS 500
/* Length of a layer's name that lets 500 of them fit into one page of mount options. */
#define OVERLAY_LAYER_NAME_MAX 6

struct overlay_spec {
	const char *const
		*lowers; /* layer names, newest first; may be NULL when lower_count is 0 */
	size_t lower_count;
	const char *upper; /* layer name; NULL for a read-only mount */
	bool volatile_upper; /* no sync; the caller gives a fresh work directory each time */
	const struct id_map *id_map; /* how owners are shown; NULL or unset: as they are on disk */
};

/* mount(2) takes one page, and cuts what is longer without a word: lowers get lost. */
#define OVERLAY_OPTIONS_MAX 4095
#define OVERLAY_OPTIONS_PLAIN_MAX 4

struct overlay_option {
	const char *key;
	const char *value; /* NULL: a flag */
};

/* -EMFILE: too many lowers; -EINVAL: none at all, or a name that would need escaping. */
int overlay_options_check(const struct overlay_spec *spec, struct error *e);
/* Whether the store's empty directory has to be the last lower, since overlayfs wants one below an
 * upper, and two without one. */
bool overlay_options_need_empty(const struct overlay_spec *spec);
/* The options that are not directories; returns how many. */
size_t overlay_options_plain(const struct overlay_features *features,
			     const struct overlay_spec *spec,
			     struct overlay_option ret_options[OVERLAY_OPTIONS_PLAIN_MAX]);
/* For mount(2) with the store's folder l/ as current directory. -ENAMETOOLONG: it does not fit.
 * The caller frees. */
int overlay_options_format(const struct overlay_features *features, const struct overlay_spec *spec,
			   char **ret_text, struct error *e);
