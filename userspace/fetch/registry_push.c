/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/registry_push.h"

#include <errno.h>
#include <string.h>

#include "fetch/agent_link.h"
#include "fetch/registry_url.h"

#define TOLD_BYTES (256 * 1024) /* report progress every 256 KiB */

struct upload {
	int64_t told_bytes;
};

static int tell(int64_t sent_bytes, void *user)
{
	struct upload *u = user;

	if (sent_bytes - u->told_bytes >= TOLD_BYTES || sent_bytes < u->told_bytes) {
		u->told_bytes = sent_bytes;
		return agent_link_sent(sent_bytes);
	}
	return agent_link_is_gone(0) ? -EPIPE : 0;
}

/* 1: the registry has the blob. */
static int look(struct registry_client *c, struct http_response *r, struct error *e)
{
	cleanup(free_ptr) char *url = NULL;
	struct http_request request = { .method = HTTP_HEAD };
	int code = registry_client_url(c, &url, e, "blobs/%s", c->request->reference);

	if (code < 0)
		return code;
	request.url = url;
	code = registry_client_call(c, &request, r, e);
	return code < 0 ? code : r->status == 200;
}

/* *ret_url: where the registry takes the upload. */
static int open_upload(struct registry_client *c, struct http_response *r, char **ret_url,
		       struct error *e)
{
	cleanup(free_ptr) char *url = NULL;
	cleanup(free_ptr) char *place = NULL;
	struct http_request request = { .method = HTTP_POST };
	int code = registry_client_url(c, &url, e, "blobs/uploads/");

	if (code < 0)
		return code;
	request.url = url;
	code = registry_client_call(c, &request, r, e);
	if (code < 0)
		return code;
	if (r->status != 202 || !r->location)
		return registry_client_refuse(c, r, e);
	code = registry_url_follow(url, r->location, &place, e);
	if (code < 0)
		return error_context(e, "the place for the upload is refused");
	return registry_url_add_query(place, "digest", c->request->reference, ret_url, e);
}

static int put(struct registry_client *c, const char *url, const char *media_type, int file,
	       struct http_response *r, struct error *e)
{
	struct upload upload = { 0 };
	struct http_request request = { .method = HTTP_PUT,
					.url = url,
					.content_type = media_type,
					.body_fd = file,
					.body_bytes = c->request->size_bytes,
					.tick = tell,
					.user = &upload };
	int code = registry_client_call(c, &request, r, e);

	if (code < 0)
		return code;
	if (r->status < 200 || r->status >= 300)
		return registry_client_refuse(c, r, e);
	return agent_link_facts(c->request->size_bytes, r->media_type, r->digest);
}

static int push_blob_once(struct registry_client *c, int file, struct http_response *r,
			  struct error *e)
{
	cleanup(free_ptr) char *url = NULL;
	int code = look(c, r, e);

	if (code != 0)
		return code < 0 ? code : 0;
	code = open_upload(c, r, &url, e);
	return code < 0 ? code : put(c, url, "application/octet-stream", file, r, e);
}

static int push_manifest_once(struct registry_client *c, int file, struct http_response *r,
			      struct error *e)
{
	cleanup(free_ptr) char *url = NULL;
	int code = registry_client_url(c, &url, e, "manifests/%s", c->request->reference);

	return code < 0 ? code : put(c, url, c->request->media_type, file, r, e);
}

int registry_push(struct registry_client *c, int file, struct error *e)
{
	cleanup(http_response_free) struct http_response r = { .content_bytes = -1 };
	bool blob = c->request->operation == FETCH_PUT_BLOB;
	struct retry retry = { 0 };
	int code;

	do {
		code = blob ? push_blob_once(c, file, &r, e) : push_manifest_once(c, file, &r, e);
	} while (code < 0 && registry_client_retry(&retry, &r, e));
	return code < 0 ? code : agent_link_done();
}
