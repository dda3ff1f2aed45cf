/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an overlay mount is asked for, as text: the options apart from the directories, and all of
 * them in the one string that mount(2) takes. Pure. Used by overlay_mount.c and overlay_staging.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "overlay/overlay_mount.h"

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
