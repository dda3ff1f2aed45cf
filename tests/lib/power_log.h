/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a recorded disk, as power_disk writes it and power_image reads it: entries in the
 * order in which the disk got them. A write is followed by its bytes, a mark by its text.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum power_kind {
	POWER_WRITE = 1,
	POWER_FLUSH = 2, /* all earlier writes survive a power cut */
	POWER_MARK = 3, /* what the workload had done at this time */
};

struct power_entry {
	uint32_t kind;
	uint32_t length;
	uint64_t offset;
};

struct power_log {
	const struct power_entry **entries;
	size_t count;
	const void *bytes;
	size_t size;
};

/* What follows the entry. */
static inline const char *power_entry_bytes(const struct power_entry *entry)
{
	return (const char *)(entry + 1);
}

/* The first mark with this text, or count. */
size_t power_log_find(const struct power_log *log, const char *mark);
/* Exits with a message when the file is not such a log. */
struct power_log power_log_open(const char *path);
