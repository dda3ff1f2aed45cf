/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/challenge.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/strbuf.h"

DEFINE_CLEANUP(json_t *, json_decref)

#define TOKEN_MAX (32 * 1024)

/* Where the scanner is; each take_… moves on. */
struct scan {
	const char *at;
};

static void skip(struct scan *s, const char *characters)
{
	s->at += strspn(s->at, characters);
}

/* RFC 9110's token; the length is 0 when there is none. */
static size_t take_token(struct scan *s, const char **ret_token)
{
	size_t length = strspn(s->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789!#$%&'*+-.^_`|~");

	*ret_token = s->at;
	s->at += length;
	return length;
}

/* A token or a quoted string, into a text of its own; NULL: out of memory. */
static char *take_value(struct scan *s)
{
	cleanup(strbuf_free) struct strbuf value = { 0 };
	const char *token;
	size_t length;

	if (*s->at != '"') {
		length = take_token(s, &token);
		strbuf_append_bytes(&value, token, length);
		return strbuf_take(&value);
	}
	for (s->at++; *s->at && *s->at != '"'; s->at++) {
		if (*s->at == '\\' && s->at[1])
			s->at++;
		strbuf_append_bytes(&value, s->at, 1);
	}
	if (*s->at)
		s->at++;
	return strbuf_take(&value);
}

/* The first of each name counts, but scopes add up. */
static int keep_parameter(struct challenge *c, const char *name, size_t length, char **value)
{
	cleanup(strbuf_free) struct strbuf both = { 0 };
	char **field = NULL;

	if (length == 5 && strncasecmp(name, "realm", 5) == 0)
		field = &c->realm;
	else if (length == 7 && strncasecmp(name, "service", 7) == 0)
		field = &c->service;
	else if (length == 5 && strncasecmp(name, "scope", 5) == 0)
		field = &c->scope;
	if (field && !*field)
		*field = take_ptr(*value);
	if (field != &c->scope || !*value)
		return 0;
	strbuf_appendf(&both, "%s %s", c->scope, *value);
	if (strbuf_failed(&both))
		return -ENOMEM;
	free(c->scope);
	c->scope = strbuf_take(&both);
	return c->scope ? 0 : -ENOMEM;
}

/* The parameters of one challenge, up to the next one's scheme or the end. */
static int take_parameters(struct scan *s, struct challenge *c)
{
	for (;;) {
		struct scan before = *s;
		const char *name;
		cleanup(free_ptr) char *value = NULL;
		size_t length;

		skip(s, " \t,");
		length = take_token(s, &name);
		skip(s, " \t");
		if (length == 0 || *s->at != '=') {
			*s = before;
			skip(s, " \t,");
			return 0;
		}
		s->at++;
		skip(s, " \t");
		value = take_value(s);
		if (!value)
			return -ENOMEM;
		if (keep_parameter(c, name, length, &value) < 0)
			return -ENOMEM;
	}
}

int challenge_add(struct challenge *c, const char *header)
{
	struct scan s = { header };

	for (;;) {
		struct challenge other = { 0 };
		const char *scheme;
		size_t length;
		bool bearer;
		int code;

		skip(&s, " \t,");
		length = take_token(&s, &scheme);
		if (length == 0 && !*s.at)
			return 0;
		if (length == 0) {
			s.at += strcspn(s.at, ","); /* skips at least one character */
			continue;
		}
		c->basic |= length == 5 && strncasecmp(scheme, "Basic", 5) == 0;
		bearer = length == 6 && strncasecmp(scheme, "Bearer", 6) == 0 && !c->realm;
		/* A token68 may follow, which only schemes that are skipped have. */
		code = take_parameters(&s, bearer ? c : &other);
		challenge_free(&other);
		if (code < 0)
			return code;
	}
}

void challenge_free(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	*c = (struct challenge){ 0 };
}

/* Other characters could end the header early. */
static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= 0x20 || *text > 0x7e)
			return false;
	return true;
}

int challenge_read_token(const char *json, size_t length, char **ret_token, struct error *e)
{
	cleanup(json_decref) json_t *root = json_loadb(json, length, 0, NULL);
	const char *token = json_string_value(json_object_get(root, "token"));

	if (!token)
		token = json_string_value(json_object_get(root, "access_token"));
	if (!token || !*token)
		return error_set(e, -EBADMSG, "the answer has no token");
	if (strlen(token) > TOKEN_MAX || !is_printable(token))
		return error_set(e, -EBADMSG, "the token is too long or has invalid characters");
	*ret_token = strdup(token);
	return *ret_token ? 0 : error_set(e, -ENOMEM, "out of memory");
}

const char *challenge_read_problem(const char *json, size_t length, char *buffer, size_t size)
{
	cleanup(json_decref) json_t *root = json_loadb(json, length, 0, NULL);
	json_t *first = json_array_get(json_object_get(root, "errors"), 0);
	const char *text = json_string_value(json_object_get(first, "message"));

	if (!text || !*text)
		text = json_string_value(json_object_get(first, "code"));
	(void)snprintf(buffer, size, "%s", text ? text : ""); /* truncation is harmless */
	return buffer;
}

char *challenge_basic(const char *credentials)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	cleanup(strbuf_free) struct strbuf text = { 0 };
	const unsigned char *at = (const unsigned char *)credentials;
	size_t left = strlen(credentials);

	strbuf_append(&text, "Basic ");
	for (; left > 0; at += 3, left -= left < 3 ? left : 3) {
		unsigned int bits = (unsigned int)at[0] << 16;
		char group[4] = { 0, 0, '=', '=' };

		if (left > 1)
			bits |= (unsigned int)at[1] << 8;
		if (left > 2)
			bits |= at[2];
		group[0] = digits[bits >> 18 & 63];
		group[1] = digits[bits >> 12 & 63];
		if (left > 1)
			group[2] = digits[bits >> 6 & 63];
		if (left > 2)
			group[3] = digits[bits & 63];
		strbuf_append_bytes(&text, group, 4);
	}
	return strbuf_take(&text);
}
