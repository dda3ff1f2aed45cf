/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How archives of layers express deletions (OCI image spec, layer.md): ".wh.NAME" beside the place
 * of NAME, ".wh..wh..opq" in a directory that hides the lower ones. Names only; paths are relative
 * and clean, as beneath_clean() makes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

enum whiteout_kind {
	WHITEOUT_NONE, /* an entry like any other */
	WHITEOUT_OF_NAME,
	WHITEOUT_OF_ALL, /* of what is below the entry's directory in lower layers */
	WHITEOUT_METADATA, /* of aufs (".wh..wh.plnk" …): ignored */
	WHITEOUT_INVALID, /* the name is empty or leads out of the layer */
};

/* *ret_name is, for a whiteout of a name, the part of the path that is hidden: path up to its last
 * component, then this. */
enum whiteout_kind whiteout_of(const char *path, const char **ret_name);
/* Whether readers would take a file of this name for a whiteout. */
bool whiteout_is_reserved(const char *name);
