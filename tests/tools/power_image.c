/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_image LOG MEBIBYTES SEED STATE FILE: makes the disk as a power cut leaves it, from the log
 * of power_disk, and prints what it has done. The states with the lowest numbers are those at each
 * flush after the mark "start". Each further state is a cut at a random place, which the seed and
 * the number determine: writes before the last flush are on the disk; of those after it, none,
 * some, or all are, and some of them only in part, in units of 512 bytes. power_image LOG: prints
 * how many states are at flushes.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/power_log.h"
#include "base/cleanup.h"

#define SECTOR 512

static uint64_t random_state;

/* splitmix64 */
static uint64_t random_number(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static bool one_in(uint64_t n)
{
	return random_number() % n == 0;
}

static void put(int fd, const char *bytes, uint64_t length, uint64_t offset)
{
	if (pwrite(fd, bytes, length, (off_t)offset) != (ssize_t)length)
		err(1, "write the image");
}

static void put_entry(int fd, const struct power_entry *entry)
{
	put(fd, power_entry_bytes(entry), entry->length, entry->offset);
}

/* Some of its sectors. */
static void tear(int fd, const struct power_entry *entry)
{
	uint64_t begin = random_number() % (entry->length / SECTOR + 1) * SECTOR;
	bool each = one_in(2);

	for (uint64_t at = 0; at + SECTOR <= entry->length; at += SECTOR)
		if (each ? one_in(2) : at < begin)
			put(fd, power_entry_bytes(entry) + at, SECTOR, entry->offset + at);
}

enum loss {
	LOSE_ALL,
	LOSE_SOME,
	LOSE_LAST, /* the disk has written the first of them, in order */
	LOSE_PARTS,
	LOSS_COUNT,
};

static const char *const loss_names[] = { "all", "some", "the last", "parts" };

/* The writes of [first, cut), which no flush covers. Returns how many are not there as a whole. */
static size_t lose(int fd, const struct power_log *log, size_t first, size_t cut, enum loss loss)
{
	size_t lost = 0, last = first + random_number() % (cut - first + 1);

	for (size_t i = first; i < cut; i++) {
		const struct power_entry *entry = log->entries[i];

		if (entry->kind != POWER_WRITE)
			continue;
		if (loss == LOSE_LAST ? i < last : loss != LOSE_ALL && one_in(2))
			put_entry(fd, entry);
		else if (++lost && (loss == LOSE_PARTS || (loss == LOSE_LAST && i == last)))
			tear(fd, entry);
	}
	return lost;
}

/* Prints the place of the cut, and the last mark before it. */
static void describe(const struct power_log *log, size_t cut, size_t flush, size_t lost,
		     const char *loss)
{
	size_t mark = cut;

	while (mark > 0 && log->entries[mark - 1]->kind != POWER_MARK)
		mark--;
	if (mark == 0)
		errx(1, "no mark before entry %zu", cut);
	printf("mark='%.*s' cut=%zu flushed=%zu lost=%zu loss='%s'\n",
	       (int)log->entries[mark - 1]->length, power_entry_bytes(log->entries[mark - 1]), cut,
	       flush, lost, loss);
}

static void make_state(const struct power_log *log, size_t start, uint64_t state, int fd)
{
	size_t cut = start, flushed = 0, lost = 0;
	uint64_t flushes = 0;
	enum loss loss;

	while (cut < log->count && !(log->entries[cut]->kind == POWER_FLUSH && flushes++ == state))
		cut++;
	if (cut == log->count)
		cut = start + 1 + random_number() % (log->count - start);
	else
		cut++;
	for (size_t i = 0; i < cut; i++)
		if (log->entries[i]->kind == POWER_FLUSH)
			flushed = i + 1;
	for (size_t i = 0; i < flushed; i++)
		if (log->entries[i]->kind == POWER_WRITE)
			put_entry(fd, log->entries[i]);
	loss = (enum loss)(random_number() % LOSS_COUNT);
	if (cut > flushed)
		lost = lose(fd, log, flushed, cut, loss);
	describe(log, cut, flushed, lost, cut > flushed ? loss_names[loss] : "none");
}

static int count_states(const struct power_log *log, size_t start)
{
	size_t flushes = 0;

	for (size_t i = start; i < log->count; i++)
		flushes += log->entries[i]->kind == POWER_FLUSH;
	printf("%zu\n", flushes);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 6)
		errx(2, "usage: power_image LOG [MEBIBYTES SEED STATE FILE]");

	struct power_log log = power_log_open(argv[1]);
	size_t start = power_log_find(&log, "start");
	if (start == log.count)
		errx(1, "the log has no mark 'start'");
	if (argc == 2)
		return count_states(&log, start);

	uint64_t state = strtoull(argv[4], NULL, 10);
	cleanup(close_fd) int fd = open(argv[5], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)(strtoull(argv[2], NULL, 10) << 20)) < 0)
		err(1, "%s", argv[5]);
	random_state = strtoull(argv[3], NULL, 10) * 1000003 + state;
	make_state(&log, start, state, fd);
	return 0;
}
