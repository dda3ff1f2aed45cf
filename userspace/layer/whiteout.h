/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How layers write down deletions (OCI image spec, layer.md): ".wh.NAME" beside where NAME was,
 * ".wh..wh..opq" in a directory that hides what is below it. Names only; paths here are relative
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
	WHITEOUT_METADATA, /* of aufs (".wh..wh.plnk" …): means nothing here */
	WHITEOUT_INVALID, /* names nothing, or leads out */
};

/* *ret_name is, for a whiteout of a name, the part of the path that is hidden: path up to its last
 * component, then this. */
enum whiteout_kind whiteout_of(const char *path, const char **ret_name);
/* Would a file of this name be taken for a whiteout? */
bool whiteout_is_reserved(const char *name);
