/* SPDX-License-Identifier: Apache-2.0 */
#include "regex/regex_class.h"

#include <errno.h>
#include <string.h>

#include "base/vec.h"

/* The only two characters beyond ASCII that are another case of an ASCII letter. */
#define LONG_S 0x17f
#define KELVIN_SIGN 0x212a

#define NAMED_RANGES_MAX 4

struct named_class {
	const char *name;
	struct regex_range ranges[NAMED_RANGES_MAX]; /* those after the last one are 0-0 */
};

/* As Go has them: ASCII only. The last two have no name in POSIX. */
static const struct named_class named_classes[] = {
	{ "alnum", { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' } } },
	{ "alpha", { { 'A', 'Z' }, { 'a', 'z' } } },
	{ "ascii", { { 0, 0x7f } } },
	{ "blank", { { '\t', '\t' }, { ' ', ' ' } } },
	{ "cntrl", { { 0, 0x1f }, { 0x7f, 0x7f } } },
	{ "digit", { { '0', '9' } } },
	{ "graph", { { '!', '~' } } },
	{ "lower", { { 'a', 'z' } } },
	{ "print", { { ' ', '~' } } },
	{ "punct", { { '!', '/' }, { ':', '@' }, { '[', '`' }, { '{', '~' } } },
	{ "space", { { '\t', '\r' }, { ' ', ' ' } } },
	{ "upper", { { 'A', 'Z' } } },
	{ "word", { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
	{ "xdigit", { { '0', '9' }, { 'A', 'F' }, { 'a', 'f' } } },
};

/* `\s` is not [[:space:]]: it has no vertical tab. */
static const struct named_class escaped_space = {
	"", { { '\t', '\n' }, { '\f', '\r' }, { ' ', ' ' } }
};

void regex_class_free(struct regex_class *c)
{
	free(c->ranges);
	*c = (struct regex_class){ 0 };
}

void regex_class_add(struct regex_class *c, uint32_t first, uint32_t last)
{
	struct regex_range *ranges =
		vec_reserve(c->ranges, &c->capacity, c->count + 1, sizeof(*ranges));

	if (!ranges) {
		c->failed = true;
		return;
	}
	c->ranges = ranges;
	ranges[c->count++] = (struct regex_range){ first, last };
}

static bool has(const struct regex_range *range, uint32_t character)
{
	return range->first <= character && character <= range->last;
}

/* Adds the part of the range that lies within first to last, moved by `distance`. */
static void add_moved(struct regex_class *c, struct regex_range range, uint32_t first,
		      uint32_t last, int distance)
{
	uint32_t from = range.first > first ? range.first : first;
	uint32_t to = range.last < last ? range.last : last;

	if (from <= to)
		regex_class_add(c, from + (uint32_t)distance, to + (uint32_t)distance);
}

bool regex_class_fold(struct regex_class *c)
{
	size_t count = c->count;

	for (size_t i = 0; i < count; i++) {
		struct regex_range range = c->ranges[i];
		bool single = range.first == range.last;

		if (range.last > 0x7f &&
		    !(single && (range.first == LONG_S || range.first == KELVIN_SIGN)))
			return false;
		add_moved(c, range, 'a', 'z', 'A' - 'a');
		add_moved(c, range, 'A', 'Z', 'a' - 'A');
		if (has(&range, 's') || has(&range, 'S'))
			regex_class_add(c, LONG_S, LONG_S);
		if (has(&range, 'k') || has(&range, 'K'))
			regex_class_add(c, KELVIN_SIGN, KELVIN_SIGN);
		if (range.first == LONG_S) {
			regex_class_add(c, 's', 's');
			regex_class_add(c, 'S', 'S');
		}
		if (range.first == KELVIN_SIGN) {
			regex_class_add(c, 'k', 'k');
			regex_class_add(c, 'K', 'K');
		}
	}
	return true;
}

void regex_class_add_all(struct regex_class *c, const struct regex_class *other)
{
	c->failed |= other->failed;
	for (size_t i = 0; i < other->count; i++)
		regex_class_add(c, other->ranges[i].first, other->ranges[i].last);
}

static void add_table(struct regex_class *c, const struct named_class *named, bool negated,
		      bool fold)
{
	cleanup(regex_class_free) struct regex_class set = { 0 };

	for (size_t i = 0; i < NAMED_RANGES_MAX && named->ranges[i].last > 0; i++)
		regex_class_add(&set, named->ranges[i].first, named->ranges[i].last);
	if (fold)
		(void)regex_class_fold(&set); /* all of it is ASCII */
	if (negated)
		regex_class_negate(&set);
	regex_class_add_all(c, &set);
}

bool regex_class_add_named(struct regex_class *c, const char *name, size_t length, bool negated,
			   bool fold)
{
	for (size_t i = 0; i < ARRAY_SIZE(named_classes); i++) {
		const struct named_class *named = &named_classes[i];

		if (strlen(named->name) != length || memcmp(named->name, name, length) != 0)
			continue;
		add_table(c, named, negated, fold);
		return true;
	}
	return false;
}

bool regex_class_add_escape(struct regex_class *c, char letter, bool fold)
{
	switch (letter) {
	case 'd':
	case 'D':
		return regex_class_add_named(c, "digit", 5, letter == 'D', fold);
	case 'w':
	case 'W':
		return regex_class_add_named(c, "word", 4, letter == 'W', fold);
	case 's':
	case 'S':
		add_table(c, &escaped_space, letter == 'S', fold);
		return true;
	default:
		return false;
	}
}

static int compare_ranges(const void *a, const void *b)
{
	const struct regex_range *left = a, *right = b;

	return (left->first > right->first) - (left->first < right->first);
}

int regex_class_finish(struct regex_class *c)
{
	size_t kept = 0;

	if (c->failed)
		return -ENOMEM;
	if (c->count == 0)
		return 0;
	qsort(c->ranges, c->count, sizeof(*c->ranges), compare_ranges);
	for (size_t i = 1; i < c->count; i++) {
		struct regex_range *last = &c->ranges[kept];

		if (c->ranges[i].first > last->last + 1)
			c->ranges[++kept] = c->ranges[i];
		else if (c->ranges[i].last > last->last)
			last->last = c->ranges[i].last;
	}
	c->count = kept + 1;
	return 0;
}

void regex_class_negate(struct regex_class *c)
{
	struct regex_class rest = { 0 };
	uint32_t next = 0;

	if (regex_class_finish(c) < 0)
		return; /* the failure is remembered */
	for (size_t i = 0; i < c->count; i++) {
		if (c->ranges[i].first > next)
			regex_class_add(&rest, next, c->ranges[i].first - 1);
		next = c->ranges[i].last + 1;
	}
	if (next <= REGEX_CHARACTER_MAX)
		regex_class_add(&rest, next, REGEX_CHARACTER_MAX);
	regex_class_free(c);
	*c = rest;
}

bool regex_class_has(const struct regex_range *ranges, size_t count, uint32_t character)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (character < ranges[middle].first)
			high = middle;
		else if (character > ranges[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}
