/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/image_reference.h"

#define D "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void references_are_parsed(void **unused)
{
	static const struct {
		const char *text;
		enum image_transport transport;
		const char *path, *registry, *repository, *tag;
	} cases[] = {
		{ "oci:/a/b", IMAGE_OCI, "/a/b", "", "", "" },
		{ "oci:/a/b:tag", IMAGE_OCI, "/a/b", "", "", "tag" },
		{ "oci:/a:b/c", IMAGE_OCI, "/a", "", "", "b/c" },
		{ "oci:/a:docker.io/library/alpine:1.0", IMAGE_OCI, "/a", "", "",
		  "docker.io/library/alpine:1.0" },
		{ "oci:/a@b", IMAGE_OCI, "/a@b", "", "", "" },
		{ "oci:/a@" D, IMAGE_OCI, "/a", "", "", D },
		{ "oci:/a:" D, IMAGE_OCI, "/a", "", "", D },
		{ "oci-archive:/a.tar:name:1@" D, IMAGE_OCI_ARCHIVE, "/a.tar", "", "", D },
		{ "docker://r.example:5000/a/b:tag@" D, IMAGE_REGISTRY, "", "r.example:5000", "a/b",
		  D },
		{ "docker://a:tag@" D, IMAGE_REGISTRY, "", "registry-1.docker.io", "library/a", D },
		{ "docker://index.docker.io/me/it", IMAGE_REGISTRY, "", "registry-1.docker.io",
		  "me/it", "" },
		{ "oci-archive:/x.tar:v1.2-a_b", IMAGE_OCI_ARCHIVE, "/x.tar", "", "", "v1.2-a_b" },
		{ "tar:/x:y.tar", IMAGE_TAR, "/x:y.tar", "", "", "" },
		{ "docker://localhost:5000/a", IMAGE_REGISTRY, "", "localhost:5000", "a", "" },
		{ "docker://localhost/a/b:1", IMAGE_REGISTRY, "", "localhost", "a/b", "1" },
		{ "docker://r.example/a@sha256:"
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		  IMAGE_REGISTRY, "", "r.example", "a",
		  "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "docker://[::1]:5000/a:b", IMAGE_REGISTRY, "", "[::1]:5000", "a", "b" },
		{ "docker://debian", IMAGE_REGISTRY, "", "registry-1.docker.io", "library/debian",
		  "" },
		{ "docker://docker.io/me/it:x", IMAGE_REGISTRY, "", "registry-1.docker.io", "me/it",
		  "x" },
		{ "docker://me/it", IMAGE_REGISTRY, "", "registry-1.docker.io", "me/it", "" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(image_reference_free) struct image_reference r = { 0 };
		struct error e = { 0 };

		if (image_reference_parse(cases[i].text, &r, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(r.transport, cases[i].transport);
		assert_string_equal(or_empty(r.path), cases[i].path);
		assert_string_equal(or_empty(r.registry), cases[i].registry);
		assert_string_equal(or_empty(r.repository), cases[i].repository);
		assert_string_equal(or_empty(r.tag), cases[i].tag);
		assert_string_equal(r.text, cases[i].text);
	}
}

static void invalid_references_are_refused_and_quoted(void **unused)
{
	static const char *const cases[] = {
		"",
		"image",
		"oci:",
		"oci::tag",
		"oci:/a:b c",
		"oci:/a:.b",
		"tar:",
		"docker://",
		"docker://host.example/",
		"docker://host.example/A",
		"docker://host.example/a//b",
		"docker://host.example/../b",
		"docker://host.example/a:",
		"docker://host.example/a@sha256:1",
		"docker://host.example/a:@" D,
		"docker://host.example/a:b c@" D,
		"oci:/a@sha256:1",
		"oci:/a:b@sha512:1",
		"oci:/a:",
		"docker://host.example/a@sha512:1",
		"docker://ho st.example/a",
		"docker://-host.example/a",
		"http://host.example/a",
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(image_reference_free) struct image_reference r = { 0 };
		struct error e = { 0 };

		if (image_reference_parse(cases[i], &r, &e) == 0)
			fail_msg("'%s' was taken", cases[i]);
		assert_non_null(strstr(e.text, cases[i]));
		assert_null(r.text);
	}
}

static const char *const *there; /* paths that are, the last one NULL */

static bool is_there(const char *path)
{
	for (const char *const *at = there; *at; at++)
		if (strcmp(*at, path) == 0)
			return true;
	return false;
}

static void the_longest_existing_path_is_the_layouts(void **unused)
{
	static const struct {
		const char *there[3], *text, *path, *tag;
	} cases[] = {
		{ { "/a", "/a:b" }, "oci:/a:b:c", "/a", "b:c" },
		{ { "/a:b" }, "oci:/a:b:c", "/a:b", "c" },
		{ { "/a:b" }, "oci:/a:b", "/a:b", "" },
		{ { "/a:b" }, "oci:/a:b@" D, "/a:b", D },
		{ { "/a:b/c" }, "oci:/a:b/c:r.example/x:1", "/a:b/c", "r.example/x:1" },
		{ { "/a:b" }, "oci:/a:b/new:x", "/a:b/new", "x" },
		{ { "/a:b" }, "oci-archive:/a:b/new", "/a:b/new", "" },
		{ { "/" }, "oci:/a:b/c:d", "/a", "b/c:d" },
		{ { NULL }, "oci:/a:b/c:d", "/a", "b/c:d" },
		{ { "/a" }, "tar:/a:b", "/a:b", "" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(image_reference_free) struct image_reference r = { 0 };

		there = cases[i].there;
		assert_int_equal(image_reference_parse(cases[i].text, &r, NULL), 0);
		assert_int_equal(image_reference_find_path(&r, is_there, NULL), 0);
		assert_string_equal(r.path, cases[i].path);
		assert_string_equal(or_empty(r.tag), cases[i].tag);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_parsed),
		cmocka_unit_test(the_longest_existing_path_is_the_layouts),
		cmocka_unit_test(invalid_references_are_refused_and_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
