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

static bool is_tag(const char *text, size_t length)
{
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

/* The OCI image specification's org.opencontainers.image.ref.name. */
static bool is_name(const char *text, size_t length)
{
	return length <= IMAGE_NAME_MAX && !strchr("-.:@+/", text[0]) &&
	       is_only(text, length, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._:@+/");
}

/* The '@' of "@sha256:…" at the end of the text; NULL: there is none. */
static const char *find_digest(const char *text)
{
	const char *at = strrchr(text, '@');

	return at && strncmp(at, "@sha", 4) == 0 && strchr(at, ':') ? at : NULL;
}

/* The path is the first `length` bytes of the rest; a name and a digest follow. */
static int set_layout(const char *rest, size_t length, struct image_reference *r, struct error *e)
{
	const char *at = find_digest(rest + length), *name = rest + length;
	size_t name_length = at ? (size_t)(at - name) : strlen(name);
	struct digest digest;
	int code;

	if (name_length > 0 && !is_name(name + 1, name_length - 1))
		return error_set(e, -EINVAL, "'%s': '%.*s' is not a name of an image", r->text,
				 (int)name_length - 1, name + 1);
	if (at && digest_parse(at + 1, &digest, e) < 0)
		return error_context(e, "'%s'", r->text);
	free(r->path);
	free(r->tag);
	r->path = r->tag = NULL;
	r->by_digest = at;
	code = copy_part(rest, length, &r->path, e);
	if (code < 0)
		return code;
	if (at)
		code = copy_part(at + 1, strlen(at + 1), &r->tag, e);
	else if (name_length > 0)
		code = copy_part(name + 1, name_length - 1, &r->tag, e);
	if (code < 0)
		return code;
	r->by_digest |= r->tag && digest_parse(r->tag, &digest, NULL) == 0;
	return 0;
}

static size_t path_length(const char *rest)
{
	const char *at = find_digest(rest);
	size_t length = at ? (size_t)(at - rest) : strlen(rest);
	const char *colon = memchr(rest, ':', length);

	return colon ? (size_t)(colon - rest) : length;
}

static int parse_layout(const char *rest, struct image_reference *r, struct error *e)
{
	return set_layout(rest, path_length(rest), r, e);
}

static bool is_path(const char *rest, size_t length, bool (*is_there)(const char *path))
{
	cleanup(free_ptr) char *path = strndup(rest, length);

	return path && *path && is_there(path);
}

int image_reference_find_path(struct image_reference *r, bool (*is_there)(const char *path),
			      struct error *e)
{
	const char *rest, *digest;
	size_t end, first;

	if (r->transport != IMAGE_OCI && r->transport != IMAGE_OCI_ARCHIVE)
		return 0;
	rest = strchr(r->text, ':') + 1;
	digest = find_digest(rest);
	end = digest ? (size_t)(digest - rest) : strlen(rest);
	first = path_length(rest);
	for (size_t i = first; i <= end; i++)
		if ((i == end || rest[i] == ':') && is_path(rest, i, is_there))
			return set_layout(rest, i, r, e);
	/* Nothing is there yet: a new one in a directory with a colon in its name. */
	for (size_t i = end; i-- > first;)
		if (rest[i] == '/' && memchr(rest, ':', i) && is_path(rest, i, is_there)) {
			const char *colon = memchr(rest + i, ':', end - i);

			return set_layout(rest, colon ? (size_t)(colon - rest) : end, r, e);
		}
	return 0;
}

/* Sets the registry, and moves on to the repository. */
static int parse_host(const char **rest, struct image_reference *r, struct error *e)
{
	const char *slash = strchr(*rest, '/');
	size_t length = slash ? (size_t)(slash - *rest) : 0;
	bool host = length > 0 && (memchr(*rest, '.', length) || memchr(*rest, ':', length) ||
				   (length == 9 && strncmp(*rest, "localhost", 9) == 0));

	if (host && !is_host(*rest, length))
		return error_set(e, -EINVAL, "'%s': '%.*s' is not a host", r->text, (int)length,
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
	size_t tag_length;
	bool official;
	int code = parse_host(&rest, r, e);

	if (code < 0)
		return code;
	end = rest + strcspn(rest, ":@");
	at = strchr(rest, '@');
	tag_length = *end == ':' ? (size_t)((at ? at : rest + strlen(rest)) - end) : 0;
	official = strcmp(r->registry, DOCKER_HUB_HOST) == 0 &&
		   !memchr(rest, '/', (size_t)(end - rest));
	if (asprintf(&r->repository, "%s%.*s", official ? "library/" : "", (int)(end - rest),
		     rest) < 0) {
		r->repository = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (!is_repository(r->repository))
		return error_set(e, -EINVAL, "'%s': '%.*s' is not a name of a repository", r->text,
				 (int)(end - rest), rest);
	if (tag_length > 0 && !is_tag(end + 1, tag_length - 1))
		return error_set(e, -EINVAL, "'%s': '%.*s' is not a tag", r->text,
				 (int)tag_length - 1, end + 1);
	if (at) {
		r->by_digest = true;
		code = digest_parse(at + 1, &digest, e);
		return code < 0 ? error_context(e, "'%s'", r->text)
				: copy_part(at + 1, strlen(at + 1), &r->tag, e);
	}
	return tag_length > 0 ? copy_part(end + 1, tag_length - 1, &r->tag, e) : 0;
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
		return error_set(e, -EINVAL,
				 "'%.200s' is not a place for an image (examples: oci:DIR[:NAME], "
				 "oci-archive:FILE[:NAME], tar:FILE, docker://HOST/NAME[:TAG])",
				 text);
	code = copy_part(text, strlen(text), &r.text, e);
	if (code < 0)
		return code;
	code = parse_rest(rest, &r, e);
	if (code < 0)
		return code;
	if (r.path && !*r.path)
		return error_set(e, -EINVAL, "'%s' lacks a path", r.text);
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
