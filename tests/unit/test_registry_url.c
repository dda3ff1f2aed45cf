/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "fetch/registry_url.h"

struct url_case {
	const char *from, *reference;
	int code;
	const char *url; /* or what the error says */
};

static void assert_url(const struct url_case *c, int code, const char *url, const struct error *e)
{
	assert_int_equal(code, c->code);
	if (code == 0)
		assert_string_equal(url, c->url);
	else
		assert_non_null(strstr(e->text, c->url));
}

static void names_of_registries_become_base_urls(void **state)
{
	static const struct url_case cases[] = {
		{ NULL, "registry.example", 0, "https://registry.example" },
		{ NULL, "registry.example:5000", 0, "https://registry.example:5000" },
		{ NULL, "docker.io", 0, "https://registry-1.docker.io" },
		{ NULL, "localhost:5000", 0, "http://localhost:5000" },
		{ NULL, "LOCALHOST", 0, "http://LOCALHOST" },
		{ NULL, "127.0.0.1:5000", 0, "http://127.0.0.1:5000" },
		{ NULL, "127.1.2.3", 0, "http://127.1.2.3" },
		{ NULL, "[::1]:5000", 0, "http://[::1]:5000" },
		{ NULL, "https://127.0.0.1", 0, "https://127.0.0.1" },
		{ NULL, "http://127.0.0.1", 0, "http://127.0.0.1" },
		/* Names that only look like this host's. */
		{ NULL, "localhost.example", 0, "https://localhost.example" },
		{ NULL, "127.0.0.1.example", 0, "https://127.0.0.1.example" },
		{ NULL, "[::2]", 0, "https://[::2]" },
		{ NULL, "http://localhost.example", -EPERM, "plain http" },
		{ NULL, "http://127.0.0.1.example", -EPERM, "plain http" },
		{ NULL, "http://[::ffff:8.8.8.8]", -EPERM, "plain http" },
		{ NULL, "http://registry.example:80", -EPERM, "plain http" },
		{ NULL, "http://0.0.0.0", -EPERM, "plain http" },
		{ NULL, "registry.example:99999", -EINVAL, "invalid registry" },
		{ NULL, "[::1", -EINVAL, "invalid registry" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(free_ptr) char *url = NULL;
		struct error e = { 0 };
		int code = registry_url_base(cases[i].reference, &url, &e);

		assert_url(&cases[i], code, url, &e);
	}
}

static void only_safe_references_are_followed(void **state)
{
	static const struct url_case cases[] = {
		{ "https://a/v2/x/", "/y?z=1#f", 0, "https://a/y?z=1" },
		{ "https://a/v2/x/y", "z", 0, "https://a/v2/x/z" },
		{ "https://a/v2/x", "//b/y", 0, "https://b/y" },
		{ "https://a/v2/x", "https://b:8443/y", 0, "https://b:8443/y" },
		{ "http://127.0.0.1/x", "https://b/y", 0, "https://b/y" },
		{ "http://127.0.0.1:99/x", "http://127.0.0.1:99/y", 0, "http://127.0.0.1:99/y" },
		{ "http://localhost/x", "http://LOCALHOST:80/y", 0, "http://LOCALHOST:80/y" },
		{ "http://127.0.0.1:99/x", "http://127.0.0.1:98/y", -EPERM, "another service" },
		{ "http://127.0.0.1:99/x", "http://127.0.0.2:99/y", -EPERM, "another service" },
		{ "http://127.0.0.1:99/x", "http://127.0.0.1/y", -EPERM, "another service" },
		{ "http://127.0.0.1/x", "http://[::1]/y", -EPERM, "another service" },
		{ "http://127.0.0.1/x", "http://b/y", -EPERM, "loopback addresses only" },
		{ "https://a/x", "http://a/y", -EPERM, "loopback addresses only" },
		{ "https://a/x", "http://127.0.0.1/y", -EPERM, "reached from https" },
		{ "https://a/x", "file:///etc/passwd", -EPERM, "neither https nor http" },
		{ "https://a/x", "ftp://a/x", -EPERM, "neither https nor http" },
		{ "https://a/x", "https://u:p@b/", -EPERM, "contain a password" },
		{ "https://a/x", "https://", -EBADMSG, "invalid URL" },
		{ "https://a/x", "https://b:port/", -EBADMSG, "invalid URL" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(free_ptr) char *url = NULL;
		struct error e = { 0 };
		int code = registry_url_follow(cases[i].from, cases[i].reference, &url, &e);

		assert_url(&cases[i], code, url, &e);
	}
}

static void origins_are_equal_when_scheme_host_and_port_are(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "https://a/x", "https://A:443/y", true },
		{ "http://a:80", "http://a", true },
		{ "https://a", "http://a", false },
		{ "https://a", "https://a:8443", false },
		{ "https://a", "https://a.example", false },
		{ "https://a", "nothing at all", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(registry_url_same_origin(cases[i].a, cases[i].b), cases[i].same);
}

static void query_values_are_escaped(void **state)
{
	static const char *const cases[][4] = {
		{ "https://a/t", "scope", "repository:x/y:pull",
		  "https://a/t?scope=repository%3ax%2fy%3apull" },
		{ "https://a/t?q=1", "service", "a b&c", "https://a/t?q=1&service=a+b%26c" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(free_ptr) char *url = NULL;

		assert_int_equal(registry_url_add_query(cases[i][0], cases[i][1], cases[i][2], &url,
							NULL),
				 0);
		assert_string_equal(url, cases[i][3]);
	}
}

static void a_host_is_taken_from_its_url(void **state)
{
	char buffer[20];

	(void)state;
	assert_string_equal(registry_url_host("https://a:5000/x", buffer, sizeof(buffer)),
			    "a:5000");
	assert_string_equal(registry_url_host("https://a/x", buffer, sizeof(buffer)), "a");
	assert_string_equal(registry_url_host("::", buffer, sizeof(buffer)), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_registries_become_base_urls),
		cmocka_unit_test(only_safe_references_are_followed),
		cmocka_unit_test(origins_are_equal_when_scheme_host_and_port_are),
		cmocka_unit_test(query_values_are_escaped),
		cmocka_unit_test(a_host_is_taken_from_its_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
