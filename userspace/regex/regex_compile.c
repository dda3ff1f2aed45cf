/* SPDX-License-Identifier: Apache-2.0 */
#include "regex/regex_compile.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/utf8.h"
#include "regex/regex_escape.h"

#define DEPTH_MAX 100 /* of groups within groups, which the parser follows by recursion */
#define REPETITIONS_MAX 1000 /* as in Go */

struct flags {
	bool fold; /* i */
	bool lines; /* m */
	bool dot_is_any; /* s */
};

struct parser {
	const char *at;
	struct flags flags;
	unsigned depth;
	struct regex_program *program;
	struct error *e;
};

/* The last thing that was parsed, as far as a repetition after it is concerned. */
struct operand {
	bool present;
	size_t start; /* its first step; it ends with the program */
	const char *repetition; /* the one that follows it already; NULL: none */
};

static int parse_alternatives(struct parser *p);

/* Turns a failure to add a step into an error. */
static int added(const struct parser *p, int code)
{
	if (code == -E2BIG)
		return error_set(p->e, -EINVAL, "too many repetitions (more than %d steps)",
				 REGEX_STEPS_MAX);
	if (code < 0)
		return error_set(p->e, code, "no memory for a regular expression");
	return 0;
}

static int add_step(struct parser *p, enum regex_operation operation, uint32_t value)
{
	const struct regex_step step = { .operation = operation, .value = value };

	return added(p, regex_program_append(p->program, step));
}

static int add_class(struct parser *p, struct regex_class *c)
{
	int code = regex_class_finish(c);

	return added(p, code < 0 ? code : regex_program_append_class(p->program, c));
}

static int refuse_fold(const struct parser *p)
{
	return error_set(p->e, -EINVAL, "(?i) is not supported for characters beyond ASCII");
}

/* ---- characters and classes ---- */

static int read_character(struct parser *p, uint32_t *ret_character)
{
	size_t size = utf8_decode(p->at, strnlen(p->at, UTF8_MAX), ret_character);

	if (size == 0)
		return error_set(p->e, -EINVAL, "invalid UTF-8");
	p->at += size;
	return 0;
}

static int add_character(struct parser *p, uint32_t character)
{
	cleanup(regex_class_free) struct regex_class class = { 0 };

	if (!p->flags.fold)
		return add_step(p, REGEX_CHARACTER, character);
	regex_class_add(&class, character, character);
	if (!regex_class_fold(&class))
		return refuse_fold(p);
	return add_class(p, &class);
}

static int add_any(struct parser *p)
{
	cleanup(regex_class_free) struct regex_class class = { 0 };

	if (!p->flags.dot_is_any)
		regex_class_add(&class, '\n', '\n');
	regex_class_negate(&class);
	return add_class(p, &class);
}

/* One end of a range in brackets. */
static int read_class_character(struct parser *p, uint32_t *ret_character)
{
	if (*p->at == '\0')
		return error_set(p->e, -EINVAL, "missing ']'");
	if (*p->at == '\\')
		return regex_escape_read(&p->at, ret_character, p->e);
	return read_character(p, ret_character);
}

static int add_range(struct parser *p, struct regex_class *class)
{
	cleanup(regex_class_free) struct regex_class range = { 0 };
	const char *start = p->at;
	uint32_t first, last;
	int code = read_class_character(p, &first);

	if (code < 0)
		return code;
	last = first;
	if (p->at[0] == '-' && p->at[1] != ']' && p->at[1] != '\0') {
		p->at++;
		code = read_class_character(p, &last);
	}
	if (code < 0)
		return code;
	if (last < first)
		return error_set(p->e, -EINVAL, "invalid range '%.*s'", (int)(p->at - start),
				 start);

	regex_class_add(&range, first, last);
	if (p->flags.fold && !regex_class_fold(&range))
		return refuse_fold(p);
	regex_class_add_all(class, &range);
	return 0;
}

/* "[:alpha:]" or "[:^alpha:]", within brackets. 1: it was one; 0: it is something else. */
static int parse_named_class(struct parser *p, struct regex_class *class)
{
	bool negated = p->at[2] == '^';
	const char *name = p->at + 2 + negated, *end = strstr(p->at + 2, ":]");

	if (!end)
		return 0;
	if (!regex_class_add_named(class, name, (size_t)(end - name), negated, p->flags.fold))
		return error_set(p->e, -EINVAL, "invalid class '%.*s'", (int)(end + 2 - p->at),
				 p->at);
	p->at = end + 2;
	return 1;
}

/* One part of what stands in brackets. */
static int parse_class_part(struct parser *p, struct regex_class *class)
{
	if (p->at[0] == '[' && p->at[1] == ':') {
		int code = parse_named_class(p, class);

		if (code != 0)
			return code < 0 ? code : 0;
	}
	if (p->at[0] == '\\' && regex_class_add_escape(class, p->at[1], p->flags.fold)) {
		p->at += 2;
		return 0;
	}
	return add_range(p, class);
}

static int parse_class(struct parser *p)
{
	cleanup(regex_class_free) struct regex_class class = { 0 };
	bool negated = *p->at == '^', first = true;

	p->at += negated;
	for (; *p->at != ']' || first; first = false) {
		int code = parse_class_part(p, &class);

		if (code < 0)
			return code;
	}
	p->at++;
	if (negated)
		regex_class_negate(&class);
	return add_class(p, &class);
}

/* ---- escapes ---- */

/* "\Qtext\E" or to the end; the text stands for itself. */
static int parse_quotation(struct parser *p, struct operand *o)
{
	const char *end = strstr(p->at, "\\E");

	if (!end)
		end = p->at + strlen(p->at);
	while (p->at < end) {
		uint32_t character;
		int code = read_character(p, &character);

		if (code < 0)
			return code;
		*o = (struct operand){ .present = true, .start = p->program->count };
		code = add_character(p, character);
		if (code < 0)
			return code;
	}
	if (*end)
		p->at = end + 2;
	return 0;
}

static int parse_escape(struct parser *p, struct operand *o)
{
	static const struct {
		char letter;
		enum regex_assertion assertion;
	} assertions[] = {
		{ 'A', REGEX_TEXT_BEGIN },
		{ 'z', REGEX_TEXT_END },
		{ 'b', REGEX_WORD_BOUNDARY },
		{ 'B', REGEX_NO_WORD_BOUNDARY },
	};
	cleanup(regex_class_free) struct regex_class class = { 0 };
	char letter = p->at[1];
	uint32_t character;
	int code;

	if (letter == 'Q') {
		p->at += 2;
		return parse_quotation(p, o);
	}
	*o = (struct operand){ .present = true, .start = p->program->count };
	for (size_t i = 0; i < ARRAY_SIZE(assertions); i++)
		if (letter == assertions[i].letter) {
			p->at += 2;
			return add_step(p, REGEX_ASSERTION, assertions[i].assertion);
		}
	if (regex_class_add_escape(&class, letter, p->flags.fold)) {
		p->at += 2;
		return add_class(p, &class);
	}
	code = regex_escape_read(&p->at, &character, p->e);
	return code < 0 ? code : add_character(p, character);
}

/* ---- groups ---- */

/* The letters after "(?", up to ')' or ':'. */
static int parse_flags(struct parser *p, const char *start)
{
	struct flags flags = p->flags;
	bool set = true, any = true;

	for (; *p->at && *p->at != ')' && *p->at != ':'; p->at++) {
		if (*p->at == '-' && set) {
			set = false;
			any = false;
			continue;
		}
		any = true;
		if (*p->at == 'i')
			flags.fold = set;
		else if (*p->at == 'm')
			flags.lines = set;
		else if (*p->at == 's')
			flags.dot_is_any = set;
		else if (*p->at != 'U') /* which only matters for what a match covers */
			break;
	}
	if ((*p->at != ')' && *p->at != ':') || !any)
		return error_set(p->e, -EINVAL, "invalid group '%.*s'",
				 (int)(p->at - start) + (*p->at && !(*p->at & 0x80)), start);
	p->flags = flags;
	return 0;
}

/* The name of a group, up to and with the '>'. */
static int skip_name(struct parser *p, const char *start)
{
	const char *name = p->at;

	p->at += strspn(p->at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	if (*p->at != '>' || p->at == name)
		return error_set(p->e, -EINVAL, "invalid group name after '%.*s'",
				 (int)(name - start), start);
	p->at++;
	return 0;
}

/* What stands between a '(' and the group's expression. *ret_group: one follows. */
static int parse_group_start(struct parser *p, bool *ret_group)
{
	const char *start = p->at - 1;
	int code;

	*ret_group = true;
	if (p->at[0] != '?')
		return 0;
	p->at++;
	if (strncmp(p->at, "P<", 2) == 0 ||
	    (p->at[0] == '<' && p->at[1] != '=' && p->at[1] != '!')) {
		p->at += p->at[0] == 'P' ? 2 : 1;
		return skip_name(p, start);
	}
	if (*p->at && strchr("=!<", *p->at))
		return error_set(p->e, -EINVAL, "looking ahead or behind is not supported");
	code = parse_flags(p, start);
	if (code < 0)
		return code;
	*ret_group = *p->at == ':';
	p->at += *ret_group; /* a ')' ends it */
	return 0;
}

static int parse_group(struct parser *p, struct operand *o)
{
	struct flags outer = p->flags;
	size_t start = p->program->count;
	bool group;
	int code;

	p->at++;
	code = parse_group_start(p, &group);
	if (code < 0)
		return code;
	if (group) {
		if (p->depth == DEPTH_MAX)
			return error_set(p->e, -EINVAL, "groups nested deeper than %d", DEPTH_MAX);
		p->depth++;
		code = parse_alternatives(p);
		p->depth--;
		if (code < 0)
			return code;
		*o = (struct operand){ .present = true, .start = start };
		p->flags = outer;
	}
	if (*p->at != ')')
		return error_set(p->e, -EINVAL, "missing ')'");
	p->at++;
	return 0;
}

/* ---- repetitions ---- */

/* A number without leading zeros; of one that is too large only that it is. */
static bool read_number(const char **at, int *ret_number)
{
	size_t digits = strspn(*at, "0123456789");
	int number = 0;

	if (digits == 0 || (**at == '0' && digits > 1))
		return false;
	for (; digits > 0; digits--, ++*at)
		if (number <= REPETITIONS_MAX)
			number = number * 10 + (**at - '0');
	*ret_number = number;
	return true;
}

/* "{3}", "{3,}" or "{3,5}"; anything else is text. */
static bool read_interval(const char **at, int *ret_least, int *ret_most)
{
	const char *next = *at + 1;

	if (!read_number(&next, ret_least))
		return false;
	*ret_most = *ret_least;
	if (*next == ',') {
		next++;
		*ret_most = -1;
		if (*next != '}' && !read_number(&next, ret_most))
			return false;
	}
	if (*next != '}')
		return false;
	*at = next + 1;
	return true;
}

/* Whether a repetition starts at *at; moves behind it. */
static bool read_repetition(const char **at, int *ret_least, int *ret_most)
{
	switch (**at) {
	case '*':
		*ret_least = 0;
		*ret_most = -1;
		break;
	case '+':
		*ret_least = 1;
		*ret_most = -1;
		break;
	case '?':
		*ret_least = 0;
		*ret_most = 1;
		break;
	case '{':
		return read_interval(at, ret_least, ret_most);
	default:
		return false;
	}
	++*at;
	return true;
}

/* 1: there was one; 0: what follows is none. */
static int parse_repetition(struct parser *p, struct operand *o)
{
	const char *start = p->at, *first = o->repetition ? o->repetition : start;
	int least, most, code;

	if (!read_repetition(&p->at, &least, &most))
		return 0;
	if (least > REPETITIONS_MAX || most > REPETITIONS_MAX || (most >= 0 && least > most))
		return error_set(p->e, -EINVAL, "invalid repetition count '%.*s'",
				 p->at - start < 40 ? (int)(p->at - start) : 40, start);
	if (*p->at == '?')
		p->at++; /* the shortest match is a match, too */
	if (o->repetition)
		return error_set(p->e, -EINVAL, "nested repetition '%.*s'",
				 p->at - first < 40 ? (int)(p->at - first) : 40, first);
	if (!o->present)
		return error_set(p->e, -EINVAL, "nothing to repeat before '%c'", *start);
	code = added(p, regex_program_repeat(p->program, o->start, least, most));
	if (code < 0)
		return code;
	o->repetition = start;
	return 1;
}

/* ---- the whole ---- */

static int parse_atom(struct parser *p, struct operand *o)
{
	uint32_t character;
	int code;

	if (*p->at == '(') {
		o->repetition = NULL;
		return parse_group(p, o);
	}
	if (*p->at == '\\') {
		o->repetition = NULL;
		return parse_escape(p, o);
	}
	*o = (struct operand){ .present = true, .start = p->program->count };
	switch (*p->at) {
	case '.':
		p->at++;
		return add_any(p);
	case '[':
		p->at++;
		return parse_class(p);
	case '^':
		p->at++;
		return add_step(p, REGEX_ASSERTION,
				p->flags.lines ? REGEX_LINE_BEGIN : REGEX_TEXT_BEGIN);
	case '$':
		p->at++;
		return add_step(p, REGEX_ASSERTION,
				p->flags.lines ? REGEX_LINE_END : REGEX_TEXT_END);
	default:
		code = read_character(p, &character);
		return code < 0 ? code : add_character(p, character);
	}
}

/* Up to a '|', a ')' or the end. */
static int parse_sequence(struct parser *p)
{
	struct operand last = { .present = false };

	while (*p->at && *p->at != '|' && *p->at != ')') {
		int code = parse_repetition(p, &last);

		if (code == 0)
			code = parse_atom(p, &last);
		if (code < 0)
			return code;
	}
	return 0;
}

/*
 * "a|b|c" becomes
 *	fork 1; a; jump end; 1: fork 2; b; jump end; 2: c; end:
 * The jumps are known last: until then each one holds where the one before it is.
 */
static int parse_alternatives(struct parser *p)
{
	struct regex_program *program = p->program;
	size_t jump = SIZE_MAX;

	for (;;) {
		size_t start = program->count;
		int code = parse_sequence(p);

		if (code < 0)
			return code;
		if (*p->at != '|')
			break;
		p->at++;
		code = regex_program_insert(
			program, start,
			(struct regex_step){ .operation = REGEX_FORK,
					     .distance = (int32_t)(program->count - start + 2) });
		if (code == 0)
			code = regex_program_append(program,
						    (struct regex_step){ .operation = REGEX_JUMP,
									 .value = (uint32_t)jump });
		if (code < 0)
			return added(p, code);
		jump = program->count - 1;
	}
	while (jump != SIZE_MAX) {
		struct regex_step *step = &program->steps[jump];

		step->distance = (int32_t)(program->count - jump);
		jump = step->value == UINT32_MAX ? SIZE_MAX : step->value;
	}
	return 0;
}

int regex_compile(const char *pattern, struct regex_program **ret_program, struct error *e)
{
	cleanup(regex_program_free) struct regex_program *program = calloc(1, sizeof(*program));
	struct parser parser = { .at = pattern, .program = program, .e = e };
	int code;

	if (!program)
		return error_set(e, -ENOMEM, "no memory for a regular expression");
	code = parse_alternatives(&parser);
	if (code < 0)
		return code;
	if (*parser.at == ')')
		return error_set(e, -EINVAL, "unexpected ')'");
	code = add_step(&parser, REGEX_MATCH, 0);
	if (code < 0)
		return code;
	*ret_program = take_ptr(program);
	return 0;
}
