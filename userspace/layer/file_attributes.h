/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owner, mode, times and extended attributes of what lies in a layer, and which of the latter are
 * part of its content: overlayfs' own (trusted.overlay.*) say how layers lie on each other, so no
 * archive may bring them and none gets them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"

#define OVERLAY_OPAQUE "trusted.overlay.opaque"

struct file_attributes {
	mode_t mode; /* 07777 of it */
	uid_t uid;
	gid_t gid;
	struct timespec times[2]; /* access, modification */
};

enum xattr_kind {
	XATTR_CONTENT,
	XATTR_OVERLAY, /* trusted.overlay.* */
	XATTR_FOREIGN, /* of another system; Linux cannot store it */
};

struct file_attributes file_attributes_of(const struct stat *st);
/* Sets the owner first, because that clears set-user-id bits, and the times last. */
int file_attributes_set(int fd, const struct file_attributes *a, struct error *e);
/* The same for files that are not opened: a link (whose mode stays), a device, a fifo. */
int file_attributes_set_at(int parent, const char *name, bool is_link,
			   const struct file_attributes *a, struct error *e);

enum xattr_kind xattr_kind_of(const char *name);
int xattr_set(int fd, const char *name, const void *value, size_t size, struct error *e);
int xattr_set_at(int parent, const char *file, const char *name, const void *value, size_t size,
		 struct error *e);
/* Copies the extended attributes that are content. */
int xattr_copy(int from, int to, struct error *e);
bool directory_is_opaque(int fd);
