/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/registry_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fetch/agent_link.h"
#include "fetch/registry_url.h"

#define REDIRECTS_MAX 10
#define ATTEMPTS 5
#define FIRST_PAUSE_MS 250
#define PAUSE_MAX_S 60
#define HOST_SIZE 300

int registry_client_init(struct registry_client *c, const struct fetch_request *request,
			 struct error *e)
{
	int code;

	*c = (struct registry_client){ .request = request };
	code = registry_url_base(request->registry, &c->base, e);
	if (code < 0)
		return code;
	c->http = http_client_new();
	return c->http ? 0 : error_set(e, -ENOMEM, "out of memory");
}

void registry_client_free(struct registry_client *c)
{
	http_client_free(c->http);
	free(c->base);
	free(c->authorization);
}

int registry_client_url(const struct registry_client *c, char **ret_url, struct error *e,
			const char *format, ...)
{
	cleanup(free_ptr) char *rest = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&rest, format, args);
	va_end(args);
	if (length < 0) {
		rest = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (asprintf(ret_url, "%s/v2/%s/%s", c->base, c->request->repository, rest) < 0) {
		*ret_url = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Follows redirects; the authorization is sent to the origin of request->url only. *ret_elsewhere:
 * the answer came from another origin. */
static int follow(struct registry_client *c, const struct http_request *request,
		  struct http_response *ret_response, bool *ret_elsewhere, struct error *e)
{
	cleanup(free_ptr) char *url = NULL;
	struct http_request r = *request;

	*ret_elsewhere = false;
	for (int hops = 0;; hops++) {
		char *next = NULL;
		int code = http_exchange(c->http, &r, ret_response, e);

		if (code < 0 || !is_redirect(ret_response->status))
			return code;
		if (hops == REDIRECTS_MAX)
			return error_set(e, -ELOOP, "the registry redirects more than %d times",
					 REDIRECTS_MAX);
		if (!ret_response->location)
			return error_set(e, -EBADMSG,
					 "the registry redirects (%d) without a location",
					 ret_response->status);
		code = registry_url_follow(r.url, ret_response->location, &next, e);
		if (code < 0)
			return error_context(e, "a redirect is refused");
		free(url);
		url = next;
		if (!registry_url_same_origin(request->url, url)) {
			r.authorization = NULL; /* stays off when a redirect leads back */
			*ret_elsewhere = true;
		}
		r.url = url;
	}
}

/* Each scope is a parameter of its own. */
static int add_scopes(char **url, const char *scopes, struct error *e)
{
	for (;;) {
		cleanup(free_ptr) char *scope = NULL;
		char *longer = NULL;
		size_t length;
		int code;

		scopes += strspn(scopes, " ");
		length = strcspn(scopes, " ");
		if (length == 0)
			return 0;
		scope = strndup(scopes, length);
		code = scope ? registry_url_add_query(*url, "scope", scope, &longer, e)
			     : error_set(e, -ENOMEM, "out of memory");
		if (code < 0)
			return code;
		free(*url);
		*url = longer;
		scopes += length;
	}
}

static int build_token_url(const struct registry_client *c, const struct challenge *challenge,
			   char **ret_url, struct error *e)
{
	bool push = c->request->operation == FETCH_PUT_BLOB ||
		    c->request->operation == FETCH_PUT_MANIFEST;
	cleanup(free_ptr) char *realm = NULL;
	cleanup(free_ptr) char *url = NULL;
	cleanup(free_ptr) char *scope = NULL;
	int code = registry_url_follow(c->base, challenge->realm, &realm, e);

	if (code < 0)
		return error_context(e, "the token server is refused");
	if (challenge->service)
		code = registry_url_add_query(realm, "service", challenge->service, &url, e);
	else
		url = take_ptr(realm);
	if (code < 0)
		return code;
	/* The challenge of an upload's first request asks for reading only; the token is for all of
	 * it. */
	if ((push || !challenge->scope) &&
	    asprintf(&scope, "repository:%s:pull%s", c->request->repository, push ? ",push" : "") <
		    0) {
		scope = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	code = add_scopes(&url, scope ? scope : challenge->scope, e);
	if (code < 0)
		return code;
	*ret_url = take_ptr(url);
	return 0;
}

static int request_token(struct registry_client *c, const struct http_request *request,
			 struct http_response *ret_response, char **ret_token, struct error *e)
{
	bool elsewhere;
	int code = follow(c, request, ret_response, &elsewhere, e);

	if (code < 0)
		return code;
	if (ret_response->status != 200)
		return registry_client_refuse(c, ret_response, e);
	return challenge_read_token(ret_response->body.text ? ret_response->body.text : "",
				    ret_response->body.length, ret_token, e);
}

static int fetch_token(struct registry_client *c, const struct challenge *challenge,
		       struct http_response *ret_response, struct error *e)
{
	cleanup(free_ptr) char *url = NULL;
	cleanup(free_ptr) char *basic = NULL;
	cleanup(free_ptr) char *token = NULL;
	char buffer[HOST_SIZE];
	struct http_request request = { .method = HTTP_GET,
					.stall_seconds = c->request->stall_seconds };
	int code = build_token_url(c, challenge, &url, e);

	if (code < 0)
		return code;
	if (*c->request->credentials && !(basic = challenge_basic(c->request->credentials)))
		return error_set(e, -ENOMEM, "out of memory");
	request.url = url;
	request.authorization = basic;
	if (request_token(c, &request, ret_response, &token, e) < 0)
		return error_context(e, "token server %s",
				     registry_url_host(url, buffer, sizeof(buffer)));
	free(c->authorization);
	if (asprintf(&c->authorization, "Bearer %s", token) < 0) {
		c->authorization = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

/* Gets the token or sets the password that the 401 asks for. */
static int get_in(struct registry_client *c, struct http_response *r, struct error *e)
{
	struct challenge challenge = r->challenge;
	int code = 0;

	r->challenge = (struct challenge){ 0 };
	if (challenge.realm) {
		code = fetch_token(c, &challenge, r, e);
	} else if (!challenge.basic) {
		code = error_set(
			e, -EACCES,
			"the registry asks for an authentication that is neither Bearer nor "
			"Basic");
	} else if (!*c->request->credentials) {
		code = error_set(e, -EACCES, "the registry asks for a password");
	} else {
		free(c->authorization);
		c->authorization = challenge_basic(c->request->credentials);
		if (!c->authorization)
			code = error_set(e, -ENOMEM, "out of memory");
	}
	challenge_free(&challenge);
	return code;
}

bool registry_client_refuses_range(const struct http_request *request, int status)
{
	return status == 416 || (status == 400 && request->range);
}

static int tick(int64_t sent_bytes, void *user)
{
	(void)sent_bytes, (void)user;
	return agent_link_is_gone(0) ? -EPIPE : 0;
}

int registry_client_call(struct registry_client *c, const struct http_request *request,
			 struct http_response *ret_response, struct error *e)
{
	bool ours = registry_url_same_origin(c->base, request->url);
	struct http_request r = *request;

	r.stall_seconds = c->request->stall_seconds;
	if (!r.tick)
		r.tick = tick;
	for (int attempt = 0;; attempt++) {
		bool elsewhere;
		int code, status;

		r.authorization = ours ? c->authorization : NULL;
		code = follow(c, &r, ret_response, &elsewhere, e);
		status = ret_response->status;
		if (code < 0)
			return code;
		if ((status >= 200 && status < 300) || status == 404 ||
		    registry_client_refuses_range(request, status))
			return 0;
		/* Retry once with a new token, but never at the request of another origin, which
		 * would decide where the password goes. */
		if (status != 401 || !ours || elsewhere || attempt > 0)
			return registry_client_refuse(c, ret_response, e);
		code = get_in(c, ret_response, e);
		if (code < 0)
			return code;
	}
}

static int errno_of_status(int status)
{
	switch (status) {
	case 401:
	case 403:
		return -EACCES;
	case 404:
		return -ENOENT;
	case 408:
	case 429:
	case 502:
	case 503:
	case 504:
		return -EAGAIN;
	default:
		return status >= 500 ? -EIO : -EBADMSG;
	}
}

int registry_client_refuse(const struct registry_client *c, const struct http_response *r,
			   struct error *e)
{
	bool lacks_password = (r->status == 401 || r->status == 403) && !*c->request->credentials;
	char problem[200];

	challenge_read_problem(r->body.text ? r->body.text : "", r->body.length, problem,
			       sizeof(problem));
	return error_set(e, errno_of_status(r->status), "the registry answers with %d%s%s%s",
			 r->status, lacks_password ? " to a request without a password" : "",
			 *problem ? ": " : "", problem);
}

static bool may_pass(const struct http_response *r)
{
	return r->lost || r->status == 408 || r->status == 429 || r->status == 500 ||
	       r->status == 502 || r->status == 503 || r->status == 504;
}

bool registry_client_retry(struct retry *retry, const struct http_response *last, struct error *e)
{
	int64_t pause_ms = (int64_t)FIRST_PAUSE_MS << retry->failures;

	if (!may_pass(last) || e->code == -EPIPE)
		return false;
	retry->failures++;
	if (last->retry_after_s > PAUSE_MAX_S) {
		error_context(e, "it asks to retry in %" PRId64 " s", last->retry_after_s);
		return false;
	}
	if (retry->failures >= ATTEMPTS) {
		error_context(e, "tried %d times", ATTEMPTS);
		return false;
	}
	if (last->retry_after_s > 0)
		pause_ms = last->retry_after_s * 1000;
	return !agent_link_is_gone((int)pause_ms);
}
