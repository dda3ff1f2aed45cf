/* SPDX-License-Identifier: Apache-2.0 */
#include "content/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/docker_hub.h"
#include "base/regular_file.h"

#define FILE_MAX (1024 * 1024)

DEFINE_CLEANUP(json_t *, json_decref)

void credentials_free(struct credentials *c)
{
	if (c->text)
		explicit_bzero(c->text, strlen(c->text));
	free(c->text);
	free(c->helper);
	*c = (struct credentials){ 0 };
}

/* The parts of "https://host/path/"; they point into the text. */
struct scope {
	const char *host, *path;
	size_t host_length, path_length;
	bool has_scheme;
};

static struct scope scope_of(const char *text)
{
	const char *scheme = strstr(text, "://");
	struct scope s = { .host = scheme ? scheme + 3 : text, .has_scheme = scheme };

	s.host_length = strcspn(s.host, "/");
	s.path = s.host + s.host_length;
	s.path += strspn(s.path, "/");
	s.path_length = strlen(s.path);
	while (s.path_length > 0 && s.path[s.path_length - 1] == '/')
		s.path_length--;
	/* Old versions of docker write the version of the API after the host. */
	if (s.has_scheme && s.path_length == 2 &&
	    (strncmp(s.path, "v1", 2) == 0 || strncmp(s.path, "v2", 2) == 0))
		s.path_length = 0;
	return s;
}

static bool is_same_host(const struct scope *a, const struct scope *b)
{
	if (docker_hub_is_host(a->host, a->host_length))
		return docker_hub_is_host(b->host, b->host_length);
	return a->host_length == b->host_length &&
	       strncasecmp(a->host, b->host, a->host_length) == 0;
}

/* Whether the path of the key is the repository or contains it. */
static bool is_above(const struct scope *key, const char *repository)
{
	return key->path_length == 0 ||
	       (strncmp(key->path, repository, key->path_length) == 0 &&
		(repository[key->path_length] == '/' || repository[key->path_length] == '\0'));
}

static bool matches(const struct scope *key, const char *registry, const char *repository)
{
	struct scope wanted = scope_of(registry);

	return key->host_length > 0 && is_same_host(key, &wanted) && is_above(key, repository);
}

static int decode_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* NULL for invalid base64, and when a decoded byte is NUL. */
static char *decode_base64(const char *text)
{
	size_t length = strlen(text), written = 0;
	cleanup(free_ptr) char *out = malloc(length + 1);
	unsigned int bits = 0, held = 0;

	while (length > 0 && text[length - 1] == '=')
		length--;
	for (size_t i = 0; out && i < length; i++) {
		int digit = decode_digit(text[i]);

		if (digit < 0)
			return NULL;
		bits = bits << 6 | (unsigned int)digit;
		held += 6;
		if (held < 8)
			continue;
		held -= 8;
		out[written] = (char)(bits >> held & 0xff);
		if (!out[written++])
			return NULL;
	}
	if (out)
		out[written] = '\0';
	return take_ptr(out);
}

static bool has_text(const json_t *entry, const char *name)
{
	const char *text = json_string_value(json_object_get(entry, name));

	return text && *text;
}

/* Docker leaves an entry with none of these when a credential store has the password. */
static bool is_usable(const json_t *entry)
{
	return has_text(entry, "auth") || has_text(entry, "identitytoken") ||
	       (has_text(entry, "username") && has_text(entry, "password"));
}

/* Whether the key is a better match than the best so far: the longer path wins, then a key without
 * a scheme, as new versions write it. */
static bool is_better(const struct scope *key, const struct scope *best)
{
	if (!best->host || key->path_length != best->path_length)
		return !best->host || key->path_length > best->path_length;
	return best->has_scheme && !key->has_scheme;
}

/* NULL when there is none. */
static const json_t *find_entry(json_t *auths, const char *registry, const char *repository)
{
	struct scope best = { 0 };
	const json_t *found = NULL;
	const char *name;
	json_t *entry;

	json_object_foreach(auths, name, entry)
	{
		struct scope key = scope_of(name);

		if (!is_usable(entry) || !matches(&key, registry, repository) ||
		    !is_better(&key, &best))
			continue;
		best = key;
		found = entry;
	}
	return found;
}

static int read_entry(const json_t *entry, const char *registry, char **ret_credentials,
		      struct error *e)
{
	const char *user = json_string_value(json_object_get(entry, "username"));
	const char *password = json_string_value(json_object_get(entry, "password"));
	char *credentials = NULL;

	if (has_text(entry, "identitytoken"))
		return error_set(e, -EOPNOTSUPP,
				 "the entry of %s is an identity token, not a password", registry);
	if (has_text(entry, "auth"))
		credentials = decode_base64(json_string_value(json_object_get(entry, "auth")));
	else if (asprintf(&credentials, "%s:%s", user, password) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (!credentials || !strchr(credentials, ':')) {
		free(credentials);
		return error_set(e, -EBADMSG, "the entry of %s is not base64 of user:password",
				 registry);
	}
	*ret_credentials = credentials;
	return 0;
}

/* The suffix of the program's name; NULL when docker would not run a helper. */
static const char *find_helper(const json_t *root, const char *registry, const char *repository)
{
	json_t *helpers = json_object_get(root, "credHelpers"), *value;
	const char *name, *store = json_string_value(json_object_get(root, "credsStore"));

	json_object_foreach(helpers, name, value)
	{
		struct scope key = scope_of(name);

		if (matches(&key, registry, repository) && json_is_string(value))
			store = json_string_value(value);
	}
	return store && *store ? store : NULL;
}

int credentials_find(const char *text, size_t length, const char *registry, const char *repository,
		     struct credentials *ret_credentials, struct error *e)
{
	json_error_t problem;
	cleanup(json_decref) json_t *root = json_loadb(text, length, 0, &problem);
	json_t *auths = json_object_get(root, "auths");
	const json_t *entry;
	const char *helper;
	char *program = NULL;

	*ret_credentials = (struct credentials){ 0 };
	if (!root)
		return error_set(e, -EBADMSG, "line %d: %s", problem.line, problem.text);
	if (!json_is_object(root) || (auths && !json_is_object(auths)))
		return error_set(e, -EBADMSG, "not an object with \"auths\"");
	entry = find_entry(auths, registry, repository);
	if (entry)
		return read_entry(entry, registry, &ret_credentials->text, e);
	helper = find_helper(root, registry, repository);
	if (helper && asprintf(&program, "docker-credential-%.100s", helper) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	ret_credentials->helper = program;
	return 0;
}

/* The whole file; -EFBIG. */
static int read_file(const char *path, char **ret_text, size_t *ret_length)
{
	cleanup(close_fd) int fd = -EBADF;
	cleanup(free_ptr) char *text = malloc(FILE_MAX + 1);
	size_t length = 0;
	int64_t size;
	int code = regular_file_open(AT_FDCWD, path, 0, &fd, &size);

	if (code < 0)
		return code;
	while (text && length <= FILE_MAX) {
		ssize_t got = read(fd, text + length, FILE_MAX + 1 - length);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		length += got > 0 ? (size_t)got : 0;
	}
	if (!text || length > FILE_MAX)
		return text ? -EFBIG : -ENOMEM;
	*ret_text = take_ptr(text);
	*ret_length = length;
	return 0;
}

int credentials_file_find(const char *path, const char *registry, const char *repository,
			  struct credentials *ret_credentials, struct error *e)
{
	char *text = NULL;
	size_t length = 0;
	int code = read_file(path, &text, &length);

	if (code < 0)
		return error_set(e, code, "read %s: %s", path, strerror(-code));
	code = credentials_find(text, length, registry, repository, ret_credentials, e);
	explicit_bzero(text, length);
	free(text);
	return code < 0 ? error_context(e, "%s", path) : 0;
}
