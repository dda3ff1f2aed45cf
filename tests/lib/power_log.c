/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/power_log.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"

static const struct power_entry *next_entry(const struct power_log *log, size_t *at)
{
	const struct power_entry *entry = (const void *)((const char *)log->bytes + *at);
	size_t left = log->size - *at;

	if (left < sizeof(*entry) || left - sizeof(*entry) < entry->length)
		errx(1, "the log ends within an entry");
	/* Entries are aligned. */
	*at += sizeof(*entry) + ((entry->length + 7U) & ~7U);
	return entry;
}

struct power_log power_log_open(const char *path)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct power_log log = { 0 };
	size_t room = 0, at = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	log.size = (size_t)st.st_size;
	log.bytes = mmap(NULL, log.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (log.bytes == MAP_FAILED)
		err(1, "map %s", path);
	while (at < log.size) {
		if (log.count == room) {
			room = room ? room * 2 : 4096;
			log.entries = reallocarray(log.entries, room, sizeof(log.entries[0]));
			if (!log.entries)
				err(1, "entries");
		}
		log.entries[log.count++] = next_entry(&log, &at);
	}
	return log;
}

size_t power_log_find(const struct power_log *log, const char *mark)
{
	size_t i = 0;

	for (; i < log->count; i++)
		if (log->entries[i]->kind == POWER_MARK &&
		    log->entries[i]->length == strlen(mark) &&
		    memcmp(power_entry_bytes(log->entries[i]), mark, strlen(mark)) == 0)
			break;
	return i;
}
