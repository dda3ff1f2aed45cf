/* SPDX-License-Identifier: Apache-2.0 */
#include "owners/clients/docker_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <jansson.h>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/strbuf.h"

#define MAX_ANSWER_BYTES ((size_t)64 * 1024 * 1024)
#define MAX_TEXT_BYTES 300 /* of what dockerd says about a failure */
#define API "http://docker/v1.41" /* of Docker 20.10, which all later ones still serve */

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_CLEANUP(json_t *, json_decref)

void docker_images_free(struct docker_images *images)
{
	for (size_t i = 0; i < images->count; i++)
		free(images->ids[i]);
	free(images->ids);
	*images = (struct docker_images){ 0 };
}

/* ---- HTTP ---- */

static size_t take_part(char *bytes, size_t size, size_t count, void *user)
{
	struct strbuf *answer = user;

	if (answer->length + size * count > MAX_ANSWER_BYTES)
		return 0; /* libcurl ends the transfer */
	strbuf_append_bytes(answer, bytes, size * count);
	return strbuf_failed(answer) ? 0 : size * count;
}

static int look_for_end(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct docker_access *access = user;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return is_cancelled(access->cancelled);
}

static int set_up(CURL *curl, const struct docker_access *access, const char *method,
		  const char *path, struct strbuf *answer)
{
	long patience_ms = (long)(access->patience_ns / 1000000);
	bool failed = curl_easy_setopt(curl, CURLOPT_URL, path) ||
		      curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method) ||
		      curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, access->socket) ||
		      curl_easy_setopt(curl, CURLOPT_PROXY, "") ||
		      curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") ||
		      curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) ||
		      curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, patience_ms) ||
		      curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_part) ||
		      curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer) ||
		      curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) ||
		      curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_end) ||
		      curl_easy_setopt(curl, CURLOPT_XFERINFODATA, access);

	return failed ? -ENOMEM : 0;
}

static int fail(CURLcode result, const struct docker_access *access, struct error *e)
{
	int code = result == CURLE_COULDNT_CONNECT	? -EAGAIN
		   : result == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT
							: -EPROTO;

	if (is_cancelled(access->cancelled))
		return error_set(e, -ECANCELED, "the call was cancelled");
	return error_set(e, code, "docker at %s: %s", access->socket, curl_easy_strerror(result));
}

/* What dockerd says about a failure: {"message": TEXT}. */
static int refuse(long status, const struct strbuf *answer, struct error *e)
{
	int code = status == 404 ? -ENOENT : status == 409 ? -EBUSY : -EPROTO;
	cleanup(json_decref) json_t *said =
		json_loadb(answer->text ? answer->text : "", answer->length, 0, NULL);
	const char *message = said ? json_string_value(json_object_get(said, "message")) : NULL;

	return error_set(e, code, "docker: %.*s (status %ld)", MAX_TEXT_BYTES,
			 message ? message : "the call failed", status);
}

static int call(const struct docker_access *access, const char *method, const char *path,
		struct strbuf *answer, struct error *e)
{
	cleanup(curl_easy_cleanup) CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode result;

	if (!curl || set_up(curl, access, method, path, answer) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	result = curl_easy_perform(curl);
	if (result != CURLE_OK)
		return fail(result, access, e);
	if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
	    status / 100 != 2)
		return refuse(status, answer, e);
	return 0;
}

/* ---- calls ---- */

static int get(const struct docker_access *access, const char *path, struct strbuf *answer,
	       struct error *e)
{
	int code = call(access, "GET", path, answer, e);

	return code == -ENOENT ? error_set(e, -EPROTO, "%s is not Docker's API", access->socket)
			       : code;
}

int docker_client_read_version(const char *text, size_t length, char **ret_version, struct error *e)
{
	cleanup(json_decref) json_t *said = json_loadb(text, length, 0, NULL);
	const char *version = said ? json_string_value(json_object_get(said, "Version")) : NULL;

	if (!version)
		return error_set(e, -EPROTO, "the answer of docker has no version");
	*ret_version = strdup(version);
	return *ret_version ? 0 : error_set(e, -ENOMEM, "out of memory");
}

int docker_client_version(const struct docker_access *access, char **ret_version, struct error *e)
{
	cleanup(strbuf_free) struct strbuf answer = { 0 };
	int code = get(access, API "/version", &answer, e);

	return code < 0 ? code
			: docker_client_read_version(answer.text ? answer.text : "", answer.length,
						     ret_version, e);
}

int docker_client_read_images(const char *text, size_t length, struct docker_images *ret_images,
			      struct error *e)
{
	cleanup(json_decref) json_t *said = json_loadb(text, length, 0, NULL);
	cleanup(docker_images_free) struct docker_images images = { 0 };

	if (!json_is_array(said))
		return error_set(e, -EPROTO, "the answer of docker is not a list of images");
	images.ids = calloc(json_array_size(said) + 1, sizeof(*images.ids));
	for (size_t i = 0; images.ids && i < json_array_size(said); i++) {
		const char *id = json_string_value(json_object_get(json_array_get(said, i), "Id"));

		if (!id)
			return error_set(e, -EPROTO, "an image in the answer of docker has no id");
		images.ids[images.count] = strdup(id);
		if (!images.ids[images.count])
			return error_set(e, -ENOMEM, "out of memory");
		images.count++;
	}
	if (!images.ids)
		return error_set(e, -ENOMEM, "out of memory");
	*ret_images = images;
	images = (struct docker_images){ 0 };
	return 0;
}

int docker_client_images(const struct docker_access *access, struct docker_images *ret_images,
			 struct error *e)
{
	cleanup(strbuf_free) struct strbuf answer = { 0 };
	int code = get(access, API "/images/json", &answer, e);

	return code < 0 ? code
			: docker_client_read_images(answer.text ? answer.text : "", answer.length,
						    ret_images, e);
}

/* In a path, as RFC 3986 has it; dockerd takes the rest of the path as the name, with slashes. */
static void append_escaped(struct strbuf *path, const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "-._~/:@";

	for (; *name; name++) {
		if (strchr(plain, *name))
			strbuf_append_bytes(path, name, 1);
		else
			strbuf_appendf(path, "%%%02X", (unsigned char)*name);
	}
}

int docker_client_remove_image(const struct docker_access *access, const char *name,
			       struct error *e)
{
	cleanup(strbuf_free) struct strbuf answer = { 0 }, path = { 0 };

	strbuf_append(&path, API "/images/");
	append_escaped(&path, name);
	if (strbuf_failed(&path))
		return error_set(e, -ENOMEM, "out of memory");
	return call(access, "DELETE", path.text, &answer, e);
}
