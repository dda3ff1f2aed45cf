/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The superblock behind a mount point, which every clone of the mount shares, in every mount
 * namespace: it decides whether files can be written, and it outlives the mount point while one
 * clone, open file or working directory is left.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Makes the superblock of the mount `name` below `parent` read-only, so that no process can write
 * by way of any clone of it, or writable again. -EBUSY: a file is open for writing, and the text
 * names processes. -EINVAL: not a mount point. A process with CAP_SYS_ADMIN in the first user
 * namespace can take it back. */
int overlay_superblock_set_read_only(int parent, const char *name, bool read_only, struct error *e);

/* The device number of the superblock. -EINVAL: not a mount point. */
int overlay_superblock_device(int parent, const char *name, dev_t *ret_device, struct error *e);

/* Whether the kernel has a superblock with this number at all. Numbers are used again: it may be
 * another one. */
bool overlay_superblock_exists(dev_t device);

struct overlay_superblock_facts {
	dev_t device; /* of an overlay that has the layer; 0: there is none */
	bool read_only;
	bool is_guess; /* its names fit, and it may belong to another store; read_only is not known
			*/
	bool is_another; /* the device that was asked for is one without the layer */
};

/* Looks in all mount namespaces for an overlay with the layer of the store, an absolute path; only
 * for one with this device number, if that is not 0. */
struct overlay_superblock_facts overlay_superblock_find(dev_t device, const char *store,
							const char *layer);

/* Sets and returns -EBUSY: "TEXT is in use by sleep (4711)". */
int overlay_superblock_refuse_busy(const char *text, dev_t device, struct error *e);
