/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_changed.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bpf/usage_shared.h"

/* More than a program ever takes from its first instruction to its last. */
#define REST_NS (2 * NS_PER_S)
/* In case that a program was stopped for longer in between. */
#define ALL_EVERY_NS (600 * NS_PER_S)
#define WORDS (USAGE_TOUCHED / sizeof(uint64_t))

struct usage_changed {
	uint64_t *touched; /* the map itself */
	uint64_t recent[WORDS]; /* taken since `recent_since` */
	uint64_t older[WORDS]; /* taken before that, and perhaps not read late enough */
	int64_t recent_since, taken, all_read; /* CLOCK_BOOTTIME */
	atomic_bool all;
};

int usage_changed_open(int map, struct usage_changed **ret_changed, struct error *e)
{
	cleanup(usage_changed_close) struct usage_changed *c = calloc(1, sizeof(*c));
	void *touched;

	if (!c)
		return error_set(e, -ENOMEM, "out of memory");
	touched = mmap(NULL, USAGE_TOUCHED, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (touched == MAP_FAILED)
		return error_set(e, -errno, "map the owners that were touched: %s",
				 strerror(errno));
	c->touched = touched;
	c->all = true;
	*ret_changed = take_ptr(c);
	return 0;
}

void usage_changed_close(struct usage_changed *c)
{
	if (!c)
		return;
	if (c->touched)
		(void)munmap(c->touched, USAGE_TOUCHED); /* cannot fail */
	free(c);
}

bool usage_changed_take(struct usage_changed *c, int64_t now_boot_ns)
{
	for (size_t i = 0; i < WORDS; i++)
		if (__atomic_load_n(&c->touched[i], __ATOMIC_RELAXED))
			c->recent[i] |= __atomic_exchange_n(&c->touched[i], 0, __ATOMIC_SEQ_CST);
	c->taken = now_boot_ns;
	if (now_boot_ns - c->all_read >= ALL_EVERY_NS)
		c->all = true;
	return c->all;
}

bool usage_changed_has(const struct usage_changed *c, uint64_t owner)
{
	size_t place = USAGE_TOUCHED_PLACE(owner);

	return ((const uint8_t *)c->recent)[place] || ((const uint8_t *)c->older)[place];
}

void usage_changed_read(struct usage_changed *c, bool all)
{
	if (all) {
		c->all_read = c->taken;
		c->all = false;
	}
	if (c->taken - c->recent_since < REST_NS)
		return;
	memcpy(c->older, c->recent, sizeof(c->older));
	memset(c->recent, 0, sizeof(c->recent));
	c->recent_since = c->taken;
}

void usage_changed_all(struct usage_changed *c)
{
	c->all = true;
}
