/* SPDX-License-Identifier: Apache-2.0 */
#include "web/negotiation.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A part of a header: its length, without blanks around it. */
struct part {
	const char *text;
	size_t length;
};

static struct part trim(struct part p)
{
	while (p.length > 0 && isspace((unsigned char)p.text[0])) {
		p.text++;
		p.length--;
	}
	while (p.length > 0 && isspace((unsigned char)p.text[p.length - 1]))
		p.length--;
	return p;
}

/* Takes what is before the next separator off the rest. */
static struct part next_part(struct part *rest, char separator)
{
	const char *end = memchr(rest->text, separator, rest->length);
	size_t length = end ? (size_t)(end - rest->text) : rest->length;
	struct part p = { rest->text, length };

	rest->text += length + (end ? 1 : 0);
	rest->length -= length + (end ? 1 : 0);
	return trim(p);
}

static bool is(struct part p, const char *text)
{
	return p.length == strlen(text) && strncasecmp(p.text, text, p.length) == 0;
}

static bool has_prefix(struct part p, const char *prefix)
{
	return p.length >= strlen(prefix) && strncasecmp(p.text, prefix, strlen(prefix)) == 0;
}

/* "0.75" as 0.75; what is not a number between 0 and 1 is 0. */
static double parse_quality(struct part p)
{
	char text[8], *end;
	double quality;

	if (p.length == 0 || p.length >= sizeof(text))
		return 0;
	memcpy(text, p.text, p.length);
	text[p.length] = '\0';
	quality = strtod(text, &end);
	return *end == '\0' && quality >= 0 && quality <= 1 ? quality : 0;
}

struct media_range {
	struct part type;
	double quality;
	bool other_version; /* of OpenMetrics than 1.0 */
};

static struct media_range parse_range(struct part range)
{
	struct media_range r = { .type = next_part(&range, ';'), .quality = 1 };

	while (range.length > 0) {
		struct part parameter = next_part(&range, ';');

		if (has_prefix(parameter, "q="))
			r.quality = parse_quality(
				(struct part){ parameter.text + 2, parameter.length - 2 });
		else if (has_prefix(parameter, "version="))
			r.other_version = !is(parameter, "version=1.0.0");
	}
	return r;
}

bool negotiation_wants_open_metrics(const char *accept)
{
	struct part rest = { accept ? accept : "", accept ? strlen(accept) : 0 };
	double open_metrics = 0, plain = 0;

	while (rest.length > 0) {
		struct media_range r = parse_range(next_part(&rest, ','));

		if (is(r.type, "application/openmetrics-text")) {
			if (!r.other_version && r.quality > open_metrics)
				open_metrics = r.quality;
		} else if ((is(r.type, "text/plain") || is(r.type, "text/*") ||
			    is(r.type, "*/*")) &&
			   r.quality > plain) {
			plain = r.quality;
		}
	}
	return open_metrics > 0 && open_metrics >= plain;
}

/* Whether nothing follows, or a port. */
static bool is_port(const char *text)
{
	return *text == '\0' || (*text == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

bool negotiation_is_local_host(const char *host)
{
	char address[INET_ADDRSTRLEN] = "";
	struct in_addr parsed;
	size_t length;

	if (!host)
		return true;
	if (strncasecmp(host, "localhost", strlen("localhost")) == 0)
		return is_port(host + strlen("localhost"));
	if (strncmp(host, "[::1]", strlen("[::1]")) == 0)
		return is_port(host + strlen("[::1]"));
	length = strcspn(host, ":");
	if (length >= sizeof(address) || !is_port(host + length))
		return false;
	memcpy(address, host, length);
	return inet_pton(AF_INET, address, &parsed) == 1 && ntohl(parsed.s_addr) >> 24 == 127;
}
