/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/json_tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

#define DEEPEST 100 /* arrays and objects within each other */

struct parser {
	struct json_tree *tree;
	char *begin, *at, *end;
	unsigned depth;
};

static int parse_value(struct parser *p, uint32_t *ret_value);

static int fault(struct parser *p, const char *what)
{
	p->tree->fault_at = (size_t)(p->at - p->begin);
	p->tree->fault = what;
	return -EINVAL;
}

static void skip_space(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
		p->at++;
}

static int add_value(struct parser *p, enum json_kind kind, uint32_t *ret_value)
{
	struct json_tree *t = p->tree;
	struct json_value *values;

	if (t->count == t->capacity) {
		values = vec_reserve(t->values, &t->capacity, t->count + 1, sizeof(*values));
		if (!values)
			return -ENOMEM;
		t->values = values;
	}
	t->values[t->count] = (struct json_value){ .kind = kind };
	*ret_value = (uint32_t)t->count++;
	return 0;
}

/* ---- texts ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits after \u. */
static int take_unit(struct parser *p, uint32_t *ret_unit)
{
	uint32_t unit = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(p->at[i]);

		if (digit < 0)
			return fault(p, "invalid escape");
		unit = unit << 4 | (uint32_t)digit;
	}
	p->at += 4;
	*ret_unit = unit;
	return 0;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

static int take_unicode(struct parser *p, char **out)
{
	uint32_t c, low;

	if (take_unit(p, &c) < 0)
		return -EINVAL;
	if (c == 0)
		return fault(p, "a text contains a NUL character");
	if (c >= 0xdc00 && c < 0xe000)
		return fault(p, "invalid surrogate");
	if (c >= 0xd800 && c < 0xdc00) {
		if (p->at[0] != '\\' || p->at[1] != 'u')
			return fault(p, "invalid surrogate");
		p->at += 2;
		if (take_unit(p, &low) < 0)
			return -EINVAL;
		if (low < 0xdc00 || low >= 0xe000)
			return fault(p, "invalid surrogate");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*out = put_utf8(*out, c);
	return 0;
}

static int take_escape(struct parser *p, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;

	p->at++; /* the backslash */
	if (*p->at == 'u') {
		p->at++;
		return take_unicode(p, out);
	}
	found = *p->at ? strchr(from, *p->at) : NULL;
	if (!found)
		return fault(p, "invalid escape");
	p->at++;
	*(*out)++ = to[found - from];
	return 0;
}

/* A character of several bytes, which must be the shortest form of a code point. */
static int take_utf8(struct parser *p, char **out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char lead = (unsigned char)*p->at;
	int length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	uint32_t c = lead & (0xffU >> (length + 1));

	if (lead < 0xc2 || lead > 0xf4)
		return fault(p, "invalid UTF-8");
	for (int i = 1; i < length; i++) {
		unsigned char byte = (unsigned char)p->at[i];

		if ((byte & 0xc0) != 0x80)
			return fault(p, "invalid UTF-8");
		c = c << 6 | (byte & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return fault(p, "invalid UTF-8");
	memmove(*out, p->at, (size_t)length);
	*out += length;
	p->at += length;
	return 0;
}

static bool is_plain(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

static int take_text(struct parser *p, const char **ret_text)
{
	char *text = ++p->at, *out;
	int code = 0;

	while (is_plain(*p->at))
		p->at++;
	out = p->at;
	while (*p->at != '"') {
		if (*p->at == '\\')
			code = take_escape(p, &out);
		else if ((unsigned char)*p->at >= 0x80)
			code = take_utf8(p, &out);
		else if ((unsigned char)*p->at < 0x20)
			return fault(p, p->at == p->end ? "a text does not end"
							: "a text contains a control character");
		else
			*out++ = *p->at++;
		if (code < 0)
			return code;
	}
	p->at++;
	*out = '\0';
	*ret_text = text;
	return 0;
}

/* ---- numbers ---- */

static bool skip_digits(struct parser *p)
{
	const char *begin = p->at;

	while (*p->at >= '0' && *p->at <= '9')
		p->at++;
	return p->at > begin;
}

static int take_integer(struct parser *p, const char *begin, struct json_value *v)
{
	errno = 0;
	v->integer = strtoll(begin, NULL, 10);
	if (errno)
		return fault(p, "the number is too large");
	v->kind = JSON_TREE_INTEGER;
	v->number = (double)v->integer;
	return 0;
}

static int take_number(struct parser *p, struct json_value *v)
{
	const char *begin = p->at;
	bool whole = true;

	if (*p->at == '-')
		p->at++;
	if (*p->at == '0')
		p->at++;
	else if (!skip_digits(p))
		return fault(p, "invalid number");
	if (*p->at == '.') {
		p->at++;
		whole = false;
		if (!skip_digits(p))
			return fault(p, "invalid number");
	}
	if (*p->at == 'e' || *p->at == 'E') {
		p->at += p->at[1] == '+' || p->at[1] == '-' ? 2 : 1;
		whole = false;
		if (!skip_digits(p))
			return fault(p, "invalid number");
	}
	if (whole)
		return take_integer(p, begin, v);
	v->kind = JSON_TREE_REAL;
	v->number = strtod(begin, NULL);
	return isfinite(v->number) ? 0 : fault(p, "the number is too large");
}

/* ---- arrays and objects ---- */

static int take_key(struct parser *p, const char **ret_key)
{
	int code;

	if (*p->at != '"')
		return fault(p, "a key is not a text");
	code = take_text(p, ret_key);
	if (code < 0)
		return code;
	skip_space(p);
	if (*p->at != ':')
		return fault(p, "':' is missing");
	p->at++;
	return 0;
}

/* The members up to the closing bracket. */
static int take_members(struct parser *p, uint32_t whole, char close)
{
	uint32_t value, last = 0;

	skip_space(p);
	for (uint32_t count = 1; *p->at != close; count++) {
		const char *key = NULL;
		int code = close == '}' ? take_key(p, &key) : 0;

		if (code == 0)
			code = parse_value(p, &value);
		if (code < 0)
			return code;
		p->tree->values[value].key = key;
		if (last)
			p->tree->values[last].next = value;
		else
			p->tree->values[whole].first = value;
		p->tree->values[whole].count = count;
		last = value;
		skip_space(p);
		if (*p->at == close)
			break;
		if (*p->at != ',')
			return fault(p, close == '}' ? "',' or '}' is missing"
						     : "',' or ']' is missing");
		p->at++;
		skip_space(p);
		if (*p->at == close)
			return fault(p, "a value is missing after ','");
	}
	p->at++;
	return 0;
}

static int take_nested(struct parser *p, uint32_t whole)
{
	char close = *p->at == '{' ? '}' : ']';
	int code;

	if (p->depth == DEEPEST)
		return fault(p, "nested too deeply");
	p->tree->values[whole].kind = close == '}' ? JSON_TREE_OBJECT : JSON_TREE_ARRAY;
	p->at++;
	p->depth++;
	code = take_members(p, whole, close);
	p->depth--;
	return code;
}

static int take_word(struct parser *p, struct json_value *v)
{
	static const struct {
		const char *word;
		size_t length;
		enum json_kind kind;
	} words[] = { { "true", 4, JSON_TREE_TRUE },
		      { "false", 5, JSON_TREE_FALSE },
		      { "null", 4, JSON_TREE_NULL } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strncmp(p->at, words[i].word, words[i].length) == 0) {
			p->at += words[i].length;
			v->kind = words[i].kind;
			return 0;
		}
	return fault(p, p->at == p->end ? "the text ends too early" : "invalid value");
}

static int parse_value(struct parser *p, uint32_t *ret_value)
{
	int code = add_value(p, JSON_TREE_NULL, ret_value);
	struct json_value *v;

	if (code < 0)
		return code;
	v = &p->tree->values[*ret_value];
	skip_space(p);
	switch (*p->at) {
	case '{':
	case '[':
		return take_nested(p, *ret_value);
	case '"':
		v->kind = JSON_TREE_TEXT;
		return take_text(p, &v->text);
	case '-':
	case '0' ... '9':
		return take_number(p, v);
	default:
		return take_word(p, v);
	}
}

int json_tree_parse(struct json_tree *t, char *text, size_t length)
{
	struct parser p = { .tree = t, .begin = text, .at = text, .end = text + length };
	uint32_t whole;
	int code;

	t->count = 0;
	code = parse_value(&p, &whole);
	if (code < 0)
		return code;
	skip_space(&p);
	return p.at == p.end ? 0 : fault(&p, "text after the end of the value");
}

void json_tree_free(struct json_tree *t)
{
	free(t->values);
	*t = (struct json_tree){ .values = NULL };
}

const struct json_value *json_tree_first(const struct json_tree *t, const struct json_value *v)
{
	return v->first ? &t->values[v->first] : NULL;
}

const struct json_value *json_tree_next(const struct json_tree *t, const struct json_value *v)
{
	return v->next ? &t->values[v->next] : NULL;
}

const struct json_value *json_tree_find(const struct json_tree *t, const struct json_value *object,
					const char *key)
{
	const struct json_value *found = NULL, *v = json_tree_first(t, object);

	for (; v; v = json_tree_next(t, v))
		if (v->key[0] == key[0] && strcmp(v->key, key) == 0)
			found = v;
	return found;
}
