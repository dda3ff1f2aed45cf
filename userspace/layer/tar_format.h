/* SPDX-License-Identifier: Apache-2.0 */
/* The header blocks of tar's formats, and how their fields are read. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"

#define TAR_BLOCK 512

enum tar_type {
	TAR_FILE = '0',
	TAR_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHARACTER = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

#define TAR_CONTIGUOUS '7'
#define TAR_PAX_HEADER 'x'
#define TAR_PAX_GLOBAL 'g'
#define TAR_GNU_LONG_NAME 'L'
#define TAR_GNU_LONG_TARGET 'K'
#define TAR_GNU_SPARSE 'S'
#define TAR_GNU_VOLUME 'V'
#define TAR_GNU_SPARSE_FIELDS 4
#define TAR_GNU_MAP_FIELDS 21

/* POSIX pax, "ustar Interchange Format". */
struct tar_ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char target[100], magic[6], version[2], user[32], group[32], major[8], minor[8];
	char prefix[155], unused[12];
};

/* Of star: a shorter prefix, then two times, and a magic at the end. */
struct tar_star {
	char ustar[345], prefix[131], atime[12], ctime[12], unused[8], trailer[4];
};

/* GNU tar's, whose fields are in the place of the prefix. */
struct tar_gnu {
	char ustar[345], atime[12], ctime[12], offset[12], long_names[4], unused[1];
	char sparse[TAR_GNU_SPARSE_FIELDS * 24], is_extended, real_size[12], unused_end[17];
};

/* More of a sparse file's map. */
struct tar_gnu_map {
	char sparse[TAR_GNU_MAP_FIELDS * 24], is_extended, unused[7];
};

union tar_block {
	char bytes[TAR_BLOCK];
	struct tar_ustar ustar;
	struct tar_star star;
	struct tar_gnu gnu;
	struct tar_gnu_map gnu_map;
};

_Static_assert(sizeof(struct tar_ustar) == TAR_BLOCK, "a header is a block");
_Static_assert(sizeof(struct tar_star) == TAR_BLOCK, "a header is a block");
_Static_assert(sizeof(struct tar_gnu) == TAR_BLOCK, "a header is a block");
_Static_assert(sizeof(struct tar_gnu_map) == TAR_BLOCK, "a header is a block");

struct tar_fields {
	char type;
	bool is_gnu, has_atime;
	int64_t mode, uid, gid, size, mtime, atime, major, minor;
};

bool tar_block_is_zero(const union tar_block *b);
/* The fields of a header; name (with prefix) and target replace what the buffers hold. -EBADMSG: it
 * is not a header. */
int tar_block_parse(const union tar_block *b, struct tar_fields *ret_fields, struct strbuf *name,
		    struct strbuf *target, struct error *e);
/* The number of zeros that fill up the last block of a content. */
static inline size_t tar_padding(uint64_t size)
{
	return (size_t)(-size % TAR_BLOCK);
}
