/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes headers of tar entries as ustar, with a pax header before it for what ustar cannot
 * express: long names and targets, large numbers, parts of seconds, extended attributes. The same
 * entry always gives the same bytes, on every machine.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/strbuf.h"
#include "layer/tar_format.h"

struct tar_header {
	enum tar_type type;
	const char *path; /* a directory's ends in a slash */
	const char *target; /* of links; else NULL */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t size; /* of the content that follows; 0 but for files */
	struct timespec mtime;
	dev_t device;
	const struct strbuf *records; /* more pax records; may be NULL */
};

/* Appends a pax record; the value may have any bytes. */
void tar_header_record(struct strbuf *records, const char *key, const void *value, size_t length);
/* Appends the header's blocks. */
void tar_header_append(struct strbuf *out, const struct tar_header *h);
