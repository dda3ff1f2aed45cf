/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/filter_regex.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* glibc copies what is repeated, `x{3}` three times and `x+` twice, groups within groups, and
 * follows parentheses by recursion: both kill a process with a pattern of a few bytes. */
#define MAX_STATES 1000 /* after all copying */
#define MAX_DEPTH 16

/* States of the pattern so far, for every open group. */
struct cost {
	unsigned depth;
	size_t group[MAX_DEPTH + 1]; /* without the last atom */
	size_t atom[MAX_DEPTH + 1]; /* the last one, which a repetition multiplies */
	bool excessive;
};

static void set_atom(struct cost *c, size_t states)
{
	c->atom[c->depth] = states;
	if (c->group[c->depth] + states > MAX_STATES)
		c->excessive = true;
}

static void add_atom(struct cost *c, size_t states)
{
	c->group[c->depth] += c->atom[c->depth];
	set_atom(c, states);
}

static void repeat_atom(struct cost *c, size_t times)
{
	if (times > 1)
		set_atom(c, c->atom[c->depth] * times);
}

static void open_group(struct cost *c)
{
	if (c->depth == MAX_DEPTH) {
		c->excessive = true;
		return;
	}
	add_atom(c, 0);
	c->depth++;
	c->group[c->depth] = c->atom[c->depth] = 0;
}

static void close_group(struct cost *c)
{
	size_t states = c->group[c->depth] + c->atom[c->depth] + 1;

	if (c->depth == 0) { /* closes nothing: a character like others */
		add_atom(c, 1);
		return;
	}
	c->depth--;
	add_atom(c, states);
}

/* The last character of a bracket expression that starts at `at`, or the end of the text. */
static const char *skip_bracket(const char *at)
{
	at++;
	if (*at == '^')
		at++;
	if (*at == ']')
		at++;
	for (; *at && *at != ']'; at++)
		if (*at == '[' && at[1] && strchr(":=.", at[1])) {
			const char close[] = { at[1], ']', '\0' };
			const char *end = strstr(at + 2, close);

			if (end)
				at = end + 1;
		}
	return at;
}

/* How often "{m,n}" copies; 1 when it is not of that form. Never more than just too much. */
static size_t read_interval(const char *at)
{
	size_t bound[2] = { 0, 0 };
	unsigned i = 0;

	for (at++; *at && *at != '}'; at++) {
		if (*at == ',' && i == 0)
			i++;
		else if (*at >= '0' && *at <= '9' && bound[i] <= MAX_STATES)
			bound[i] = bound[i] * 10 + (size_t)(*at - '0');
		else if (*at < '0' || *at > '9')
			return 1;
	}
	return bound[0] + 1 > bound[1] ? bound[0] + 1 : bound[1];
}

/* Weighs what starts at `at` and returns where it ends: its last character, or the final NUL. */
static const char *weigh(struct cost *c, const char *at)
{
	switch (*at) {
	case '\\':
		add_atom(c, 1);
		return at[1] ? at + 1 : at;
	case '[':
		add_atom(c, 1);
		return skip_bracket(at);
	case '(':
		open_group(c);
		return at;
	case ')':
		close_group(c);
		return at;
	case '+':
		repeat_atom(c, 2);
		return at;
	case '{':
		repeat_atom(c, read_interval(at));
		return at;
	case '*':
	case '?':
		return at;
	default:
		add_atom(c, 1);
		return at;
	}
}

int filter_regex_compile(const char *pattern, regex_t *ret_regex, struct error *e)
{
	struct cost cost = { 0 };
	char reason[128];
	int code;

	for (const char *at = pattern; *at && !cost.excessive;) {
		if (*at == '\\' && at[1] >= '1' && at[1] <= '9')
			return error_set(e, -EINVAL, "back references are not supported");
		at = weigh(&cost, at);
		if (*at)
			at++;
	}
	if (cost.excessive)
		return error_set(e, -EINVAL, "too long, too deep or with too many repetitions");

	code = regcomp(ret_regex, pattern, REG_EXTENDED | REG_NOSUB);
	if (code == REG_ESPACE)
		return error_set(e, -ENOMEM, "no memory for the regular expression");
	if (code != 0) {
		(void)regerror(code, ret_regex, reason, sizeof(reason)); /* cuts what is longer */
		return error_set(e, -EINVAL, "%s", reason);
	}
	return 0;
}
