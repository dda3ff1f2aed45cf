/* SPDX-License-Identifier: Apache-2.0 */
#include "content/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define FILE_MAX (1024 * 1024)

DEFINE_CLEANUP(json_t *, json_decref)

/* The host in "https://host/v1/", "host" … */
static void find_host(const char *text, const char **ret_host, size_t *ret_length)
{
	const char *scheme = strstr(text, "://");

	*ret_host = scheme ? scheme + 3 : text;
	*ret_length = strcspn(*ret_host, "/");
	/* Docker writes its own registry in an old way. */
	if (*ret_length == strlen("index.docker.io") &&
	    strncmp(*ret_host, "index.docker.io", *ret_length) == 0) {
		*ret_host = "docker.io";
		*ret_length = strlen("docker.io");
	}
}

static bool is_same_host(const char *a, const char *b)
{
	size_t a_length, b_length;

	find_host(a, &a, &a_length);
	find_host(b, &b, &b_length);
	return a_length == b_length && strncasecmp(a, b, a_length) == 0;
}

static int decode_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* NULL when it is no base64 of a text. */
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

static int read_entry(const json_t *entry, const char *registry, char **ret_credentials,
		      struct error *e)
{
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	const char *user = json_string_value(json_object_get(entry, "username"));
	const char *password = json_string_value(json_object_get(entry, "password"));
	char *credentials = NULL;

	if (json_object_get(entry, "identitytoken"))
		return error_set(e, -EOPNOTSUPP,
				 "the entry of %s is an identity token, not a password", registry);
	if (auth && *auth)
		credentials = decode_base64(auth);
	else if (user && password && asprintf(&credentials, "%s:%s", user, password) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	else if (!user || !password)
		return 0; /* docker leaves an empty entry where a credential store has it */
	if (!credentials || !strchr(credentials, ':')) {
		free(credentials);
		return error_set(e, -EBADMSG, "the entry of %s is not base64 of user:password",
				 registry);
	}
	*ret_credentials = credentials;
	return 0;
}

int credentials_find(const char *text, size_t length, const char *registry, char **ret_credentials,
		     struct error *e)
{
	json_error_t problem;
	cleanup(json_decref) json_t *root = json_loadb(text, length, 0, &problem);
	json_t *auths = json_object_get(root, "auths"), *entry;
	const char *host;

	*ret_credentials = NULL;
	if (!root)
		return error_set(e, -EBADMSG, "line %d: %s", problem.line, problem.text);
	if (!json_is_object(root) || (auths && !json_is_object(auths)))
		return error_set(e, -EBADMSG, "not an object with \"auths\"");
	json_object_foreach(auths, host, entry)
	{
		if (is_same_host(host, registry))
			return read_entry(entry, registry, ret_credentials, e);
	}
	return 0;
}

/* The whole file; -EFBIG. */
static int read_file(const char *path, char **ret_text, size_t *ret_length)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	cleanup(free_ptr) char *text = malloc(FILE_MAX + 1);
	size_t length = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
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

int credentials_file_find(const char *path, const char *registry, char **ret_credentials,
			  struct error *e)
{
	char *text = NULL;
	size_t length = 0;
	int code = read_file(path, &text, &length);

	if (code < 0)
		return error_set(e, code, "read %s: %s", path, strerror(-code));
	code = credentials_find(text, length, registry, ret_credentials, e);
	explicit_bzero(text, length);
	free(text);
	return code < 0 ? error_context(e, "%s", path) : 0;
}
