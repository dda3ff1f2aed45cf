/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_reference.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/digest.h"
#include "base/docker_hub.h"

#define HOST_MAX 255
#define REPOSITORY_MAX 255

static const struct transport_name {
	const char *prefix;
	enum image_transport transport;
} transports[] = {
	{ "oci:", IMAGE_OCI },
	{ "oci-archive:", IMAGE_OCI_ARCHIVE },
	{ "tar:", IMAGE_TAR },
	{ "docker://", IMAGE_REGISTRY },
};

static bool is_only(const char *text, size_t length, const char *others)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == '\0' || !strchr(others, c)))
			return false;
	}
	return length > 0;
}

static bool is_tag(const char *text)
{
	size_t length = strlen(text);

	return length <= IMAGE_TAG_MAX && text[0] != '.' && text[0] != '-' &&
	       is_only(text, length, "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-");
}

/* Lower case, digits, and separators between them. */
static bool is_repository(const char *text)
{
	size_t length = strlen(text);

	if (length > REPOSITORY_MAX || !is_only(text, length, "._-/"))
		return false;
	for (size_t i = 0; i < length; i++)
		if (strchr("._-/", text[i]) &&
		    (i == 0 || i + 1 == length || text[i - 1] == '/' || text[i + 1] == '/' ||
		     (text[i] == '.' && text[i + 1] == '.')))
			return false;
	return true;
}

static bool is_host(const char *text, size_t length)
{
	return length <= HOST_MAX && is_only(text, length, "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:[]") &&
	       text[0] != '-' && text[0] != '.';
}

static int copy_part(const char *text, size_t length, char **ret_part, struct error *e)
{
	*ret_part = strndup(text, length);
	return *ret_part ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/* What stands behind the last colon is a tag, unless it has a slash. */
static int parse_layout(const char *rest, struct image_reference *r, struct error *e)
{
	const char *colon = strrchr(rest, ':');
	int code;

	if (colon && strchr(colon, '/'))
		colon = NULL;
	if (colon && !is_tag(colon + 1))
		return error_set(e, -EINVAL, "'%s': '%s' is no tag", r->text, colon + 1);
	code = copy_part(rest, colon ? (size_t)(colon - rest) : strlen(rest), &r->path, e);
	if (code == 0 && colon)
		code = copy_part(colon + 1, strlen(colon + 1), &r->tag, e);
	return code;
}

/* Sets the registry, and moves on to the repository. */
static int parse_host(const char **rest, struct image_reference *r, struct error *e)
{
	const char *slash = strchr(*rest, '/');
	size_t length = slash ? (size_t)(slash - *rest) : 0;
	bool host = length > 0 && (memchr(*rest, '.', length) || memchr(*rest, ':', length) ||
				   (length == 9 && strncmp(*rest, "localhost", 9) == 0));

	if (host && !is_host(*rest, length))
		return error_set(e, -EINVAL, "'%s': '%.*s' is no host", r->text, (int)length,
				 *rest);
	if (!host)
		return copy_part(DOCKER_HUB_HOST, strlen(DOCKER_HUB_HOST), &r->registry, e);
	*rest += length + 1;
	if (docker_hub_is_host(slash - length, length))
		return copy_part(DOCKER_HUB_HOST, strlen(DOCKER_HUB_HOST), &r->registry, e);
	return copy_part(slash - length, length, &r->registry, e);
}

static int parse_registry(const char *rest, struct image_reference *r, struct error *e)
{
	struct digest digest;
	const char *end, *at;
	bool official;
	int code = parse_host(&rest, r, e);

	if (code < 0)
		return code;
	at = strchr(rest, '@');
	end = at ? at : strchr(rest, ':');
	end = end ? end : rest + strlen(rest);
	official = strcmp(r->registry, DOCKER_HUB_HOST) == 0 &&
		   !memchr(rest, '/', (size_t)(end - rest));
	if (asprintf(&r->repository, "%s%.*s", official ? "library/" : "", (int)(end - rest),
		     rest) < 0) {
		r->repository = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (!is_repository(r->repository))
		return error_set(e, -EINVAL, "'%s': '%.*s' is no name of a repository", r->text,
				 (int)(end - rest), rest);
	if (at) {
		code = digest_parse(at + 1, &digest, e);
		if (code < 0)
			return error_context(e, "'%s'", r->text);
	} else if (*end && !is_tag(end + 1)) {
		return error_set(e, -EINVAL, "'%s': '%s' is no tag", r->text, end + 1);
	}
	return *end ? copy_part(end + 1, strlen(end + 1), &r->tag, e) : 0;
}

static int parse_rest(const char *rest, struct image_reference *r, struct error *e)
{
	if (!*rest)
		return error_set(e, -EINVAL, "'%s' lacks a name", r->text);
	switch (r->transport) {
	case IMAGE_REGISTRY:
		return parse_registry(rest, r, e);
	case IMAGE_TAR:
		return copy_part(rest, strlen(rest), &r->path, e);
	default:
		return parse_layout(rest, r, e);
	}
}

int image_reference_parse(const char *text, struct image_reference *ret_reference, struct error *e)
{
	cleanup(image_reference_free) struct image_reference r = { 0 };
	const char *rest = NULL;
	int code;

	if (strlen(text) > IMAGE_REFERENCE_MAX)
		return error_set(e, -EINVAL, "a reference has at most %d bytes, not %zu",
				 IMAGE_REFERENCE_MAX, strlen(text));
	for (size_t i = 0; i < ARRAY_SIZE(transports) && !rest; i++) {
		size_t length = strlen(transports[i].prefix);

		if (strncmp(text, transports[i].prefix, length) != 0)
			continue;
		r.transport = transports[i].transport;
		rest = text + length;
	}
	if (!rest)
		return error_set(
			e, -EINVAL,
			"'%.200s' is no place of an image: oci:DIR[:TAG], "
			"oci-archive:FILE[:TAG], tar:FILE and docker://HOST/NAME[:TAG] are",
			text);
	code = copy_part(text, strlen(text), &r.text, e);
	if (code == 0)
		code = parse_rest(rest, &r, e);
	if (code == 0 && r.path && !*r.path)
		code = error_set(e, -EINVAL, "'%s' lacks a path", r.text);
	if (code < 0)
		return code;
	*ret_reference = r;
	r = (struct image_reference){ 0 };
	return 0;
}

void image_reference_free(struct image_reference *r)
{
	free(r->path);
	free(r->registry);
	free(r->repository);
	free(r->tag);
	free(r->text);
	*r = (struct image_reference){ 0 };
}
