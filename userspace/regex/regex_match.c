/* SPDX-License-Identifier: Apache-2.0 */
#include "regex/regex_match.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"

#define NOTHING UINT32_MAX /* beyond either end of the text */

/* Steps by number, each at most once. */
struct state_list {
	uint16_t steps[REGEX_STEPS_MAX];
	size_t count;
};

struct matcher {
	const struct regex_program *program;
	struct state_list open; /* still to be followed, at this position */
	struct state_list waiting; /* for the next character */
	size_t seen[REGEX_STEPS_MAX]; /* by step: the last round in which it was opened */
	size_t round; /* one for each position in the text, from 1 */
};

static bool is_word(uint32_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (c >= 'a' && c <= 'z');
}

static bool holds(enum regex_assertion assertion, uint32_t before, uint32_t after)
{
	switch (assertion) {
	case REGEX_TEXT_BEGIN:
		return before == NOTHING;
	case REGEX_TEXT_END:
		return after == NOTHING;
	case REGEX_LINE_BEGIN:
		return before == NOTHING || before == '\n';
	case REGEX_LINE_END:
		return after == NOTHING || after == '\n';
	case REGEX_WORD_BOUNDARY:
		return is_word(before) != is_word(after);
	default:
		return is_word(before) == is_word(after);
	}
}

static void open_step(struct matcher *m, size_t step)
{
	if (m->seen[step] == m->round)
		return;
	m->seen[step] = m->round;
	m->open.steps[m->open.count++] = (uint16_t)step;
}

/* Follows the open steps as far as they lead without a character. True: to the match. */
static bool follow(struct matcher *m, uint32_t before, uint32_t after)
{
	while (m->open.count > 0) {
		size_t at = m->open.steps[--m->open.count];
		const struct regex_step *step = &m->program->steps[at];

		switch (step->operation) {
		case REGEX_MATCH:
			return true;
		case REGEX_JUMP:
			open_step(m, (size_t)((ptrdiff_t)at + step->distance));
			break;
		case REGEX_FORK:
			open_step(m, (size_t)((ptrdiff_t)at + step->distance));
			open_step(m, at + 1);
			break;
		case REGEX_ASSERTION:
			if (holds((enum regex_assertion)step->value, before, after))
				open_step(m, at + 1);
			break;
		default:
			m->waiting.steps[m->waiting.count++] = (uint16_t)at;
		}
	}
	return false;
}

static bool accepts(const struct regex_program *p, const struct regex_step *step,
		    uint32_t character)
{
	if (step->operation == REGEX_CHARACTER)
		return step->value == character;
	return regex_class_has(p->ranges + step->value, step->count, character);
}

/* Opens the steps behind those that accept the character. */
static void consume(struct matcher *m, uint32_t character)
{
	m->round++;
	for (size_t i = 0; i < m->waiting.count; i++) {
		size_t at = m->waiting.steps[i];

		if (accepts(m->program, &m->program->steps[at], character))
			open_step(m, at + 1);
	}
	m->waiting.count = 0;
}

static uint32_t read_character(const char **at, const char *end)
{
	uint32_t character;

	if (*at == end)
		return NOTHING;
	*at += utf8_next(*at, (size_t)(end - *at), &character);
	return character == UTF8_STRAY ? UTF8_REPLACEMENT : character;
}

/* No match begins but where the text does. */
static bool is_anchored(const struct regex_program *p)
{
	return p->steps[0].operation == REGEX_ASSERTION && p->steps[0].value == REGEX_TEXT_BEGIN;
}

bool regex_match(const struct regex_program *p, const char *text)
{
	const char *end = text + strlen(text);
	bool anchored = is_anchored(p);
	uint32_t before = NOTHING;
	struct matcher m;

	assert(p->count > 0 && p->count <= REGEX_STEPS_MAX);
	m.program = p;
	m.open.count = m.waiting.count = 0;
	m.round = 1;
	memset(m.seen, 0, p->count * sizeof(*m.seen));
	for (;;) {
		uint32_t after = read_character(&text, end);

		if (before == NOTHING || !anchored)
			open_step(&m, 0);
		if (follow(&m, before, after))
			return true;
		if (after == NOTHING || (anchored && m.waiting.count == 0))
			return false;
		consume(&m, after);
		before = after;
	}
}
