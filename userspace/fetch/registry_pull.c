/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/registry_pull.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fetch/agent_link.h"
#include "fetch/registry_url.h"

#define HOST_SIZE 300
#define PROGRESS_BYTES                                                             \
	(1024 * 1024) /* after this much progress earlier failures no longer count \
		       */

#define MANIFEST_TYPES                                                \
	"application/vnd.oci.image.index.v1+json, "                   \
	"application/vnd.oci.image.manifest.v1+json, "                \
	"application/vnd.docker.distribution.manifest.list.v2+json, " \
	"application/vnd.docker.distribution.manifest.v2+json"

struct pull {
	int64_t asked_from; /* offset of this attempt */
	int64_t received_bytes; /* what the agent has */
	int64_t total_bytes; /* -1: not known */
	bool begun; /* the header of the answer was read */
};

/* "bytes 5-9/10"; the total is -1 for "*". */
static int read_range(const struct http_response *r, int64_t *ret_first, int64_t *ret_total,
		      struct error *e)
{
	int64_t first, last, total = -1;
	char rest;
	const char *text = r->content_range;

	if (!text ||
	    (sscanf(text, "bytes %" SCNd64 "-%" SCNd64 "/%" SCNd64 "%c", &first, &last, &total,
		    &rest) != 3 &&
	     (sscanf(text, "bytes %" SCNd64 "-%" SCNd64 "/%c", &first, &last, &rest) != 3 ||
	      rest != '*')))
		return error_set(e, -EBADMSG, "the answer has an invalid range: '%.100s'",
				 text ? text : "");
	if (first < 0 || last < first || (total >= 0 && last >= total))
		return error_set(e, -EBADMSG, "the answer has an impossible range: '%.100s'", text);
	*ret_first = first;
	*ret_total = total;
	return 0;
}

static int begin(struct pull *p, const struct http_response *r, struct error *e)
{
	int64_t first = 0;
	int code = 0;

	p->begun = true;
	if (r->status == 206 && p->asked_from > 0) {
		code = read_range(r, &first, &p->total_bytes, e);
		if (code == 0 && first != p->asked_from)
			code = error_set(e, -EBADMSG,
					 "the answer begins at byte %" PRId64
					 " instead of %" PRId64,
					 first, p->asked_from);
	} else if (r->status == 200) {
		p->total_bytes = r->content_bytes;
		if (p->received_bytes > 0)
			code = agent_link_restart();
		p->received_bytes = code < 0 ? p->received_bytes : 0;
	} else {
		code = error_set(e, -EBADMSG, "the registry answers with %d", r->status);
	}
	if (code < 0)
		return code;
	return agent_link_facts(p->total_bytes, r->media_type, r->digest);
}

static int take(const struct http_response *r, const void *bytes, size_t length, void *user,
		struct error *e)
{
	struct pull *p = user;
	int code = p->begun ? 0 : begin(p, r, e);

	if (code == 0)
		code = agent_link_bytes(bytes, length);
	if (code < 0)
		return code == -EPIPE ? error_set(e, code, "the agent is gone") : code;
	p->received_bytes += (int64_t)length;
	return 0;
}

/* The registry refuses the range: the agent has all bytes already, or starts over. */
static int take_no_range(struct pull *p, const struct http_response *r, bool *ret_whole,
			 struct error *e)
{
	int64_t total;
	char rest;

	if (p->asked_from == 0)
		return error_set(e, -EBADMSG, "the registry answers with %d", r->status);
	*ret_whole = r->content_range &&
		     sscanf(r->content_range, "bytes */%" SCNd64 "%c", &total, &rest) == 1 &&
		     total == p->received_bytes;
	if (*ret_whole)
		return 0;
	p->received_bytes = 0;
	return agent_link_restart();
}

/* Finds out whether the reference is missing, or the host is not a registry. */
static int report_absence(struct registry_client *c, const struct http_response *r, struct error *e)
{
	cleanup(http_response_free) struct http_response ping = { .content_bytes = -1 };
	cleanup(free_ptr) char *url = NULL;
	struct http_request request = { .method = HTTP_GET };
	char buffer[HOST_SIZE];

	if (asprintf(&url, "%s/v2/", c->base) < 0) {
		url = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	request.url = url;
	if (registry_client_call(c, &request, &ping, NULL) == 0 && ping.status == 404)
		return error_set(e, -ENOENT, "%s is not a registry: it has no /v2/",
				 registry_url_host(c->base, buffer, sizeof(buffer)));
	return registry_client_refuse(c, r, e);
}

/* One attempt. *ret_whole: the transfer is complete. */
static int attempt(struct registry_client *c, struct pull *p, const struct http_request *request,
		   struct http_response *r, bool *ret_whole, struct error *e)
{
	struct http_request ranged = *request;
	char range[32];
	int code;

	*ret_whole = false;
	p->asked_from = p->received_bytes;
	p->begun = false;
	if (p->asked_from > 0) {
		(void)snprintf(range, sizeof(range), "%" PRId64 "-", p->asked_from);
		ranged.range = range;
	}
	code = registry_client_call(c, &ranged, r, e);
	if (code < 0)
		return code;
	if (r->status == 404)
		return report_absence(c, r, e);
	if (registry_client_refuses_range(&ranged, r->status))
		return take_no_range(p, r, ret_whole, e);
	if (!p->begun)
		code = begin(p, r, e); /* an empty body */
	if (code < 0)
		return code;
	if (p->total_bytes >= 0 && p->received_bytes < p->total_bytes) {
		r->lost = true;
		return error_set(e, -ECONNRESET, "only %" PRId64 " of %" PRId64 " bytes came",
				 p->received_bytes, p->total_bytes);
	}
	*ret_whole = true;
	return 0;
}

static int receive(struct registry_client *c, const char *url, const char *accept, struct error *e)
{
	cleanup(http_response_free) struct http_response r = { .content_bytes = -1 };
	struct pull p = { .received_bytes = c->request->offset_bytes, .total_bytes = -1 };
	struct http_request request = {
		.method = HTTP_GET, .url = url, .accept = accept, .take = take, .user = &p
	};
	int64_t furthest = p.received_bytes; /* bytes that are fetched again are not progress */
	struct retry retry = { 0 };
	bool whole = false;

	while (!whole) {
		int code = attempt(c, &p, &request, &r, &whole, e);

		if (p.received_bytes - furthest >= PROGRESS_BYTES) {
			furthest = p.received_bytes;
			retry.failures = 0;
		}
		if (code < 0 && !registry_client_retry(&retry, &r, e))
			return code;
	}
	return agent_link_done();
}

int registry_pull(struct registry_client *c, struct error *e)
{
	bool manifest = c->request->operation == FETCH_GET_MANIFEST;
	cleanup(free_ptr) char *url = NULL;
	int code = registry_client_url(c, &url, e, "%s/%s", manifest ? "manifests" : "blobs",
				       c->request->reference);

	return code < 0 ? code : receive(c, url, manifest ? MANIFEST_TYPES : "*/*", e);
}
