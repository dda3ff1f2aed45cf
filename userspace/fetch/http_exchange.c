/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/http_exchange.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/version.h"
#include "fetch/registry_url.h"

#define HEADERS_MAX (64 * 1024)
#define KEPT_BODY_MAX (64 * 1024)
#define STALL_BYTES_PER_S 1024L /* a slower transfer counts as stalled */
#define UPLOAD_PATIENCE                                                           \
	4 /* times longer: a registry verifies and moves a blob before it answers \
	   */
#define HOST_SIZE 300

struct http_client {
	CURL *curl;
};

/* What the callbacks share. */
struct exchange {
	const struct http_request *request;
	struct http_response *response;
	struct error *e;
	int code; /* of the callback that ended the exchange; its text is in e */
	size_t header_bytes;
	int64_t body_offset;
};

struct http_client *http_client_new(void)
{
	cleanup(http_client_free) struct http_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->curl = curl_easy_init();
	return c->curl ? take_ptr(c) : NULL;
}

void http_client_free(struct http_client *c)
{
	if (c)
		curl_easy_cleanup(c->curl);
	free(c);
}

void http_response_free(struct http_response *r)
{
	free(r->location);
	free(r->media_type);
	free(r->digest);
	free(r->content_range);
	challenge_free(&r->challenge);
	strbuf_free(&r->body);
	*r = (struct http_response){ .content_bytes = -1 };
}

/* The trimmed value if the header has this name, else NULL. */
static char *find_value(char *line, const char *name)
{
	size_t length = strlen(name);
	char *end;

	if (strncasecmp(line, name, length) != 0 || line[length] != ':')
		return NULL;
	line += length + 1;
	line += strspn(line, " \t");
	for (end = line + strlen(line); end > line && strchr(" \t\r\n", end[-1]);)
		*--end = '\0';
	return line;
}

static void keep_text(char **field, const char *text, bool *failed)
{
	free(*field);
	*field = strdup(text);
	*failed |= !*field;
}

static int take_header(struct http_response *r, char *line)
{
	bool failed = false;
	char *value, *end;

	if ((value = find_value(line, "location"))) {
		keep_text(&r->location, value, &failed);
	} else if ((value = find_value(line, "content-type"))) {
		value[strcspn(value, "; \t")] = '\0';
		keep_text(&r->media_type, value, &failed);
	} else if ((value = find_value(line, "docker-content-digest"))) {
		keep_text(&r->digest, value, &failed);
	} else if ((value = find_value(line, "content-range"))) {
		keep_text(&r->content_range, value, &failed);
	} else if ((value = find_value(line, "www-authenticate"))) {
		failed = challenge_add(&r->challenge, value) < 0;
	} else if ((value = find_value(line, "content-length"))) {
		r->content_bytes = strtoll(value, &end, 10); /* curl refuses invalid numbers */
	}
	return failed ? -ENOMEM : 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
	struct exchange *x = user;
	size_t length = size * count;
	cleanup(free_ptr) char *line = NULL;

	x->header_bytes += length;
	if (x->header_bytes > HEADERS_MAX) {
		x->code = error_set(x->e, -EFBIG, "the answer has more than %d bytes of headers",
				    HEADERS_MAX);
		return 0;
	}
	line = strndup(bytes, length);
	if (line && strncmp(line, "HTTP/", 5) == 0)
		http_response_free(x->response); /* drops an interim answer */
	else if (line)
		x->code = take_header(x->response, line);
	if (!line || x->code < 0) {
		x->code = error_set(x->e, -ENOMEM, "out of memory");
		return 0;
	}
	return length;
}

static int get_status(struct http_client *c)
{
	long status = 0;

	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status); /* then it is 0 */
	return (int)status;
}

struct sink {
	struct http_client *client;
	struct exchange *exchange;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct sink *s = user;
	struct exchange *x = s->exchange;
	struct http_response *r = x->response;
	size_t length = size * count, room;

	r->status = get_status(s->client);
	if (x->request->take && r->status >= 200 && r->status < 300) {
		x->code = x->request->take(r, bytes, length, x->request->user, x->e);
		return x->code < 0 ? 0 : length;
	}
	/* Error pages and tokens are shorter. */
	room = r->body.length < KEPT_BODY_MAX ? KEPT_BODY_MAX - r->body.length : 0;
	strbuf_append_bytes(&r->body, bytes, length < room ? length : room);
	if (length > room) {
		x->code = error_set(x->e, -EFBIG, "the answer is longer than %d bytes",
				    KEPT_BODY_MAX);
		return 0;
	}
	return length;
}

static size_t on_read(char *buffer, size_t size, size_t count, void *user)
{
	struct exchange *x = user;
	int64_t left = x->request->body_bytes - x->body_offset;
	size_t length = size * count;
	ssize_t got;

	if ((int64_t)length > left)
		length = (size_t)left;
	do {
		got = pread(x->request->body_fd, buffer, length, x->body_offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		x->code = error_set(x->e, -errno, "read the file to upload: %s", strerror(errno));
		return CURL_READFUNC_ABORT;
	}
	x->body_offset += got;
	return (size_t)got;
}

static int on_seek(void *user, curl_off_t offset, int origin)
{
	struct exchange *x = user;

	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	x->body_offset = offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *user, curl_off_t total, curl_off_t done, curl_off_t upload_total,
		       curl_off_t sent)
{
	struct exchange *x = user;

	(void)total, (void)done, (void)upload_total;
	if (x->request->tick && x->request->tick(sent, x->request->user) < 0) {
		x->code = error_set(x->e, -EPIPE, "the agent is gone");
		return 1;
	}
	return 0;
}

static bool add_line(struct curl_slist **lines, const char *name, const char *value)
{
	cleanup(strbuf_free) struct strbuf line = { 0 };
	struct curl_slist *longer;

	if (!value)
		return true;
	strbuf_appendf(&line, "%s%s", name, value);
	longer = strbuf_failed(&line) ? NULL : curl_slist_append(*lines, line.text);
	if (longer)
		*lines = longer;
	return longer;
}

static bool add_lines(const struct http_request *r, struct curl_slist **lines)
{
	return add_line(lines, "Accept: ", r->accept) &&
	       add_line(lines, "Authorization: ", r->authorization) &&
	       /* An empty value keeps curl from sending its own. */
	       add_line(lines, "Content-Type:", r->content_type ? r->content_type : "") &&
	       /* Curl would wait a second for a 100 that many servers never send. */
	       add_line(lines, "Expect:", "");
}

static void set_method(CURL *c, struct exchange *x)
{
	const struct http_request *r = x->request;

	switch (r->method) {
	case HTTP_GET:
		curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
		break;
	case HTTP_HEAD:
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
		break;
	case HTTP_POST:
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, 0L);
		break;
	case HTTP_PUT:
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_bytes);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(c, CURLOPT_READDATA, x);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
		break;
	}
}

static long patience(const struct http_request *r)
{
	return r->method == HTTP_PUT ? r->stall_seconds * UPLOAD_PATIENCE : r->stall_seconds;
}

/* These fail only without memory, or with a libcurl that was built without HTTP. */
static void set_options(CURL *c, struct exchange *x, struct curl_slist *lines, char *problem)
{
	const struct http_request *r = x->request;

	curl_easy_reset(c); /* keeps the connections */
	curl_easy_setopt(c, CURLOPT_URL, r->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
	curl_easy_setopt(c, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE); /* no password for proxies */
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "varve/" VARVE_VERSION);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, problem);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)r->stall_seconds);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, patience(r));
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	if (r->range)
		curl_easy_setopt(c, CURLOPT_RANGE, r->range);
	if (registry_url_is_loopback(r->url))
		curl_easy_setopt(c, CURLOPT_PROXY,
				 ""); /* a proxy would resolve loopback as its own host */
	set_method(c, x);
}

static int report_unreachable(CURL *c, CURLcode code, const char *host, const char *problem,
			      struct error *e)
{
	long os_error = 0;

	if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
		return error_set(e, -EHOSTUNREACH, "%s: %s", host, problem);
	(void)curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &os_error); /* then it is 0 */
	return error_set(e, os_error > 0 && os_error <= 133 ? (int)-os_error : -ECONNREFUSED,
			 "%s: %s", host, problem);
}

static int report(struct http_client *c, struct exchange *x, CURLcode code, const char *problem)
{
	char buffer[HOST_SIZE];
	const char *host = registry_url_host(x->request->url, buffer, sizeof(buffer));
	long of_proxy = 0;

	(void)curl_easy_getinfo(c->curl, CURLINFO_HTTP_CONNECTCODE, &of_proxy); /* then it is 0 */
	if (of_proxy >= 300)
		return error_set(x->e, -EACCES,
				 "the proxy refuses to connect to %s: it answers with %ld", host,
				 of_proxy);
	if (!*problem)
		problem = curl_easy_strerror(code);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return report_unreachable(c->curl, code, host, problem, x->e);
	case CURLE_OUT_OF_MEMORY:
		return error_set(x->e, -ENOMEM, "out of memory");
	case CURLE_OPERATION_TIMEDOUT:
		x->response->lost = true;
		return error_set(x->e, -ETIMEDOUT, "%s stalled: no data for %ld s", host,
				 patience(x->request));
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		x->response->lost = true;
		return error_set(x->e, -ECONNRESET, "the connection to %s was lost: %s", host,
				 problem);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE: /* no certificate authorities on this host */
		return error_set(x->e, -EPROTO, "TLS with %s failed: %s", host, problem);
	default:
		return error_set(x->e, -EBADMSG, "%s does not answer like a registry: %s", host,
				 problem);
	}
}

int http_exchange(struct http_client *c, const struct http_request *request,
		  struct http_response *ret_response, struct error *e)
{
	struct exchange x = { .request = request, .response = ret_response, .e = e };
	struct sink sink = { c, &x };
	struct curl_slist *lines = NULL;
	char problem[CURL_ERROR_SIZE] = "";
	CURLcode code = CURLE_OUT_OF_MEMORY;

	http_response_free(ret_response);
	if (add_lines(request, &lines)) {
		set_options(c->curl, &x, lines, problem);
		curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
		curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &sink);
		code = curl_easy_perform(c->curl);
	}
	curl_slist_free_all(lines);
	ret_response->status = get_status(c);
	if (x.code < 0)
		return x.code;
	if (code == CURLE_OK) {
		curl_off_t wait = 0;

		if (curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK)
			ret_response->retry_after_s = wait;
		return 0;
	}
	return report(c, &x, code, problem);
}
