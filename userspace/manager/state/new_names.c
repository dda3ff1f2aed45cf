/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the agent gives: ids of records, names of layers. */
#include "manager/state/new_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

#include "manager/state/manager_state.h"

/* 25 base-36 characters: 129 random bits. */
void new_names_record_id(char ret_id[RECORD_ID_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	size_t length = 0;

	while (length < RECORD_ID_LENGTH) {
		unsigned char random[32];

		/* 32 bytes are always given whole, and never interrupted, once the pool is up. */
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			continue;
		for (size_t i = 0; i < sizeof(random) && length < RECORD_ID_LENGTH; i++)
			if (random[i] < 252) /* 7 * 36: no digit is likelier than another */
				ret_id[length++] = digits[random[i] % 36];
	}
	ret_id[length] = '\0';
}

#define NAMES_AHEAD 64 /* so many are lost when the agent is killed */
#define NAMES_MAX (UINT64_C(1) << (5 * LAYER_NAME_LENGTH))

/* Without it, as on a full disk, a later agent perhaps uses the name of a removed layer again. */
static void write_reserved(struct manager *m, uint64_t number)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%020" PRIu64 "\n", number);

	if (pwrite(m->lock_fd, text, (size_t)length, 0) == length)
		m->names_reserved = number;
}

void new_names_resume(struct manager *m)
{
	char text[32] = "";
	uint64_t number;

	if (pread(m->lock_fd, text, sizeof(text) - 1, 0) <= 0)
		return; /* an earlier version has left the file empty */
	number = strtoull(text, NULL, 10);
	if (number > m->next_layer && number < NAMES_MAX)
		m->next_layer = number;
}

void new_names_end(struct manager *m)
{
	if (m->names_reserved)
		write_reserved(m, m->next_layer);
}

void new_names_layer(struct manager *m, char name[LAYER_NAME_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
	uint64_t number = m->next_layer++;
	char reversed[LAYER_NAME_LENGTH + 1];
	size_t length = 0;

	if (number >= m->names_reserved)
		write_reserved(m, number + NAMES_AHEAD);
	do {
		reversed[length++] = digits[number % 32];
		number /= 32;
	} while (number && length < LAYER_NAME_LENGTH);
	for (size_t i = 0; i < length; i++)
		name[i] = reversed[length - 1 - i];
	name[length] = '\0';
}

uint64_t new_names_mount_id(struct manager *m)
{
	uint64_t now_us = (uint64_t)clock_wall_ns() / 1000;

	manager_assert_locked(m);
	m->last_mount_id = now_us > m->last_mount_id ? now_us : m->last_mount_id + 1;
	return m->last_mount_id;
}
