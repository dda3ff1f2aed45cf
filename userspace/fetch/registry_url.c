/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/registry_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/docker_hub.h"

DEFINE_CLEANUP(CURLU *, curl_url_cleanup)
DEFINE_CLEANUP(char *, curl_free)

static CURLU *parse(const char *url)
{
	cleanup(curl_url_cleanup) CURLU *u = curl_url();

	if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
		return NULL;
	return take_ptr(u);
}

static bool is_loopback(CURLU *u)
{
	cleanup(curl_free) char *host = NULL;
	struct in6_addr v6;
	struct in_addr v4;
	char address[64];

	if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return false;
	/* Curl does not ask a resolver for this one. */
	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (sscanf(host, "[%63[0-9a-fA-F:]]", address) != 1)
		return false;
	return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool has_scheme(CURLU *u, const char *scheme)
{
	cleanup(curl_free) char *has = NULL;

	return curl_url_get(u, CURLUPART_SCHEME, &has, 0) == CURLUE_OK && strcmp(has, scheme) == 0;
}

static bool has_user(CURLU *u)
{
	cleanup(curl_free) char *user = NULL;

	return curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	cleanup(curl_free) char *of_a = NULL;
	cleanup(curl_free) char *of_b = NULL;

	return curl_url_get(a, part, &of_a, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	       curl_url_get(b, part, &of_b, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	       strcasecmp(of_a, of_b) == 0;
}

/* Whether we go there. `from`: whose answer leads there; NULL for the registry that was named. */
static int check(CURLU *u, CURLU *from, struct error *e)
{
	cleanup(curl_free) char *url = NULL;

	if (curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK)
		return error_set(e, -ENOMEM, "out of memory");
	if (has_user(u))
		return error_set(e, -EPERM, "URLs that contain a password are not followed");
	if (has_scheme(u, "https"))
		return 0;
	if (!has_scheme(u, "http"))
		return error_set(e, -EPERM, "%.200s is neither https nor http", url);
	if (!is_loopback(u))
		return error_set(
			e, -EPERM,
			"%.200s is plain http, which is allowed for loopback addresses only", url);
	if (from && !has_scheme(from, "http"))
		return error_set(e, -EPERM, "%.200s is plain http, reached from https", url);
	/* A registry on this host does not get to ask this host's other services. */
	if (from && (!same_part(u, from, CURLUPART_HOST) || !same_part(u, from, CURLUPART_PORT)))
		return error_set(e, -EPERM, "%.200s is another service of this host", url);
	return 0;
}

static int take_url(CURLU *u, char **ret_url, struct error *e)
{
	cleanup(curl_free) char *url = NULL;
	char *copy;

	if (curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK || !(copy = strdup(url)))
		return error_set(e, -ENOMEM, "out of memory");
	*ret_url = copy;
	return 0;
}

int registry_url_base(const char *registry, char **ret_url, struct error *e)
{
	cleanup(curl_url_cleanup) CURLU *u = NULL;
	cleanup(free_ptr) char *text = NULL;
	bool guess = !strstr(registry, "://");
	size_t length;
	int code;

	if (docker_hub_is_host(registry, strlen(registry)))
		registry = DOCKER_HUB_HOST;
	if (asprintf(&text, "%s%s", guess ? "https://" : "", registry) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	u = parse(text);
	if (!u)
		return error_set(e, -EINVAL, "invalid registry '%.200s'", registry);
	if (guess && is_loopback(u))
		(void)curl_url_set(u, CURLUPART_SCHEME, "http", 0); /* else https fails clearly */
	code = check(u, NULL, e);
	if (code == 0)
		code = take_url(u, ret_url, e);
	if (code < 0)
		return code;
	length = strlen(*ret_url);
	if (length > 0 && (*ret_url)[length - 1] == '/')
		(*ret_url)[length - 1] = '\0';
	return 0;
}

int registry_url_follow(const char *from, const char *reference, char **ret_url, struct error *e)
{
	cleanup(curl_url_cleanup) CURLU *origin = parse(from);
	cleanup(curl_url_cleanup) CURLU *u = parse(from);
	int code;

	if (!origin || !u || curl_url_set(u, CURLUPART_URL, reference, 0) != CURLUE_OK)
		return error_set(e, -EBADMSG, "invalid URL '%.200s'", reference);
	(void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0); /* not for the server */
	code = check(u, origin, e);
	return code < 0 ? code : take_url(u, ret_url, e);
}

bool registry_url_same_origin(const char *a, const char *b)
{
	cleanup(curl_url_cleanup) CURLU *of_a = parse(a);
	cleanup(curl_url_cleanup) CURLU *of_b = parse(b);

	return of_a && of_b && same_part(of_a, of_b, CURLUPART_SCHEME) &&
	       same_part(of_a, of_b, CURLUPART_HOST) && same_part(of_a, of_b, CURLUPART_PORT);
}

bool registry_url_is_loopback(const char *url)
{
	cleanup(curl_url_cleanup) CURLU *u = parse(url);

	return u && is_loopback(u);
}

int registry_url_add_query(const char *url, const char *name, const char *value, char **ret_url,
			   struct error *e)
{
	cleanup(curl_url_cleanup) CURLU *u = parse(url);
	cleanup(free_ptr) char *text = NULL;

	if (!u)
		return error_set(e, -EBADMSG, "invalid URL '%.200s'", url);
	if (asprintf(&text, "%s=%s", name, value) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (curl_url_set(u, CURLUPART_QUERY, text, CURLU_APPENDQUERY | CURLU_URLENCODE) !=
	    CURLUE_OK)
		return error_set(e, -EBADMSG, "'%.200s' is too long", url);
	return take_url(u, ret_url, e);
}

const char *registry_url_host(const char *url, char *buffer, int size)
{
	cleanup(curl_url_cleanup) CURLU *u = parse(url);
	cleanup(curl_free) char *host = NULL;
	cleanup(curl_free) char *port = NULL;

	if (!u || curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return "?";
	if (curl_url_get(u, CURLUPART_PORT, &port, 0) != CURLUE_OK)
		port = NULL;
	(void)snprintf(buffer, (size_t)size, "%s%s%s", host, port ? ":" : "", port ? port : "");
	return buffer;
}
