/* SPDX-License-Identifier: Apache-2.0 */
#include "base/markup.h"

#include "base/visible_text.h"

static const char *escape_of(char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* The visible text is longer than what markup needs, so what it wrote is escaped afterwards. */
void markup_append(struct strbuf *out, const char *text)
{
	cleanup(strbuf_free) struct strbuf visible = { 0 };
	const char *rest;

	visible_text_append(&visible, text, true);
	out->failed |= strbuf_failed(&visible);
	for (rest = visible.text; rest && *rest;) {
		size_t plain = strcspn(rest, "<>&\"'");

		strbuf_append_bytes(out, rest, plain);
		rest += plain;
		if (*rest)
			strbuf_append(out, escape_of(*rest++));
	}
}

void markup_append_url(struct strbuf *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";

	while (*text) {
		size_t length = strspn(text, plain);

		strbuf_append_bytes(out, text, length);
		text += length;
		if (*text)
			strbuf_appendf(out, "%%%02X", (unsigned char)*text++);
	}
}
