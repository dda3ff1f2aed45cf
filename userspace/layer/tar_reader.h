/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a tar archive: v7, ustar, pax, star and GNU tar's formats, sparse files in all of GNU
 * tar's. Every byte belongs to a header, to a content, to padding or to what follows the end; a
 * block that is none of these is an error, so that nothing is passed over. Where readers differ, it
 * understands an archive as Go's archive/tar does, which containerd, umoci, Docker and Podman use:
 * links, devices, directories and fifos have no content, whatever their size says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "layer/tar_format.h"
#include "layer/tar_pax.h"

struct tar_reader;

/* Where the bytes come from; as tar_stream_read(). */
struct tar_source {
	long (*read)(void *user, const void **ret_bytes, struct error *e);
	void *user;
};

/* Strings are the reader's, good until the next call of tar_reader_next(). */
struct tar_entry {
	enum tar_type type;
	const char *path, *target; /* target: of links; "" when it has none */
	mode_t mode;
	int64_t uid, gid;
	struct timespec
		times[2]; /* access (that of modification where it has none), modification */
	dev_t device;
	int64_t size; /* of the file, holes too */
	const struct tar_pax *pax; /* extended attributes are TAR_XATTR_PREFIX and a name */
};

#define TAR_XATTR_PREFIX "SCHILY.xattr."
/* What the headers of one entry may take in memory. */
#define TAR_HEADERS_MAX ((uint64_t)8 << 20)

struct tar_reader *tar_reader_new(const struct tar_source *source); /* NULL: no memory */
void tar_reader_free(struct tar_reader *r);
DEFINE_CLEANUP(struct tar_reader *, tar_reader_free)

/* The next entry: 1, or 0 at the end. What is left of the content of the last one is passed over.
 * -EBADMSG: corrupt or cut off; -EFBIG: headers over TAR_HEADERS_MAX; -EOPNOTSUPP; the source's. */
int tar_reader_next(struct tar_reader *r, const struct tar_entry **ret_entry, struct error *e);
/* The next bytes of the entry's content and their offset in the file: 1, or 0 at the end of the
 * content. */
int tar_reader_content(struct tar_reader *r, const void **ret_bytes, size_t *ret_length,
		       int64_t *ret_offset, struct error *e);
/* After the last entry: reads what follows the archive's end. How many bytes, and whether they are
 * all zeros. -EFBIG: more than `max`. */
int tar_reader_end(struct tar_reader *r, uint64_t max, bool *ret_all_zeros, struct error *e);
