/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/chain_id.h"
#include "image/image_config.h"
#include "image/image_manifest.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define D "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

#define CONFIG_D "{\"mediaType\":\"" IMAGE_MEDIA_TYPE_CONFIG "\",\"digest\":\"" A "\",\"size\":7}"
#define LAYER_D(type, digest) "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":9}"
#define MANIFEST(config, layers) \
	"{\"schemaVersion\":2,\"config\":" config ",\"layers\":[" layers "]}"
#define IMAGE_D(digest, more)                                                   \
	"{\"mediaType\":\"" IMAGE_MEDIA_TYPE_MANIFEST "\",\"digest\":\"" digest \
	"\",\"size\":5" more "}"
#define TAGGED(tag) ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" tag "\"}"
#define FOR(os, arch) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}"
#define VARIANT(arch, variant) \
	",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\",\"variant\":\"" variant "\"}"
#define ATTESTATION                                                                                \
	",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}" FOR("unknown", \
											"unknown")
#define ARTIFACT ",\"artifactType\":\"application/vnd.example.sbom\""
#define INDEX(images) "{\"schemaVersion\":2,\"manifests\":[" images "]}"

static struct digest digest(const char *text)
{
	struct digest d = { "" };

	assert_int_equal(digest_parse(text, &d, NULL), 0);
	return d;
}

static int parse(const char *text, enum image_document *kind, struct image_descriptors *all,
		 struct error *e)
{
	return image_manifest_parse(text, strlen(text), NULL, kind, all, e);
}

static void manifests_are_parsed(void **unused)
{
	cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
	enum image_document kind;

	(void)unused;
	assert_int_equal(
		parse(MANIFEST(CONFIG_D,
			       LAYER_D(IMAGE_MEDIA_TYPE_LAYER_GZIP, B) "," LAYER_D(
				       "application/vnd.docker.image.rootfs.diff.tar.gzip", C)),
		      &kind, &all, NULL),
		0);
	assert_int_equal(kind, IMAGE_DOCUMENT_MANIFEST);
	assert_int_equal(all.count, 3);
	assert_string_equal(all.items[0].digest.text, A);
	assert_string_equal(all.items[2].digest.text, C);
	assert_int_equal(all.items[2].size_bytes, 9);
}

static void invalid_manifests_are_refused_and_the_fault_named(void **unused)
{
	static const struct {
		const char *text;
		int code;
		const char *named;
	} cases[] = {
		{ "", -EBADMSG, "manifest" },
		{ "[]", -EBADMSG, "object" },
		{ "{\"schemaVersion\":2,", -EBADMSG, "line 1" },
		{ "{\"schemaVersion\":1,\"schemaVersion\":2}", -EBADMSG, "layers" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"a\\u0000b\"}", -EBADMSG, "mediaType" },
		{ "{\"schemaVersion\":1,\"fsLayers\":[]}", -EOPNOTSUPP, "version 1" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"a/b\"}", -EOPNOTSUPP, "a/b" },
		{ "{\"schemaVersion\":2,\"mediaType\":7}", -EBADMSG, "mediaType" },
		{ "{\"schemaVersion\":2}", -EBADMSG, "layers" },
		{ MANIFEST("[]", ""), -EBADMSG, "config" },
		{ MANIFEST("{\"mediaType\":\"x/y\",\"digest\":\"" A "\",\"size\":1}", ""),
		  -EOPNOTSUPP, "x/y" },
		{ MANIFEST(CONFIG_D, LAYER_D("application/x-encrypted", B)), -EOPNOTSUPP,
		  "application/x-encrypted" },
		{ MANIFEST(CONFIG_D, LAYER_D(IMAGE_MEDIA_TYPE_LAYER, "sha256:12")), -EINVAL,
		  "layer 1" },
		{ MANIFEST(CONFIG_D, LAYER_D(IMAGE_MEDIA_TYPE_LAYER, "../../etc/passwd")), -EINVAL,
		  "../../etc/passwd" },
		{ MANIFEST(CONFIG_D, "{\"mediaType\":\"" IMAGE_MEDIA_TYPE_LAYER "\",\"digest\":\"" B
				     "\",\"size\":-1}"),
		  -EBADMSG, "size" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
		enum image_document kind;
		struct error e = { 0 };

		assert_int_equal(parse(cases[i].text, &kind, &all, &e), cases[i].code);
		if (!strstr(e.text, cases[i].named))
			fail_msg("'%s' does not name %s", e.text, cases[i].named);
		assert_null(all.items);
	}
}

static void too_many_layers_are_refused(void **unused)
{
	cleanup(free_ptr) char *text = malloc(IMAGE_JSON_MAX + 2);
	struct image_descriptors all = { 0 };
	enum image_document kind;
	struct error e = { 0 };
	char *end;

	(void)unused;
	assert_non_null(text);
	end = stpcpy(text, "{\"schemaVersion\":2,\"config\":" CONFIG_D ",\"layers\":[0");
	for (int i = 0; i < IMAGE_LAYERS_MAX; i++)
		end = stpcpy(end, ",0");
	strcpy(end, "]}");
	assert_int_equal(parse(text, &kind, &all, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "501 entries"));
	memset(text, ' ', IMAGE_JSON_MAX + 1);
	text[IMAGE_JSON_MAX + 1] = '\0';
	assert_int_equal(parse(text, &kind, &all, &e), -EFBIG);
}

static void the_image_of_an_index_is_chosen_by_tag_digest_and_platform(void **unused)
{
	static const struct {
		const char *index, *tag, *chosen; /* NULL: refused */
		const char *said;
	} cases[] = {
		{ INDEX(IMAGE_D(A, "")), NULL, A, "" },
		{ INDEX(IMAGE_D(A, TAGGED("a")) "," IMAGE_D(B, TAGGED("b"))), "b", B, "" },
		{ INDEX(IMAGE_D(A, TAGGED("a")) "," IMAGE_D(B, TAGGED("b"))), NULL, NULL, "a, b" },
		{ INDEX(IMAGE_D(A, TAGGED("a"))), "c", NULL, "the tags are a" },
		{ INDEX(IMAGE_D(A, FOR("linux", "arm64")) "," IMAGE_D(B, FOR("linux", "amd64"))),
		  NULL, B, "" },
		{ INDEX(IMAGE_D(A, FOR("windows", "amd64")) "," IMAGE_D(B, FOR("linux", "arm64"))),
		  NULL, NULL, "linux/amd64" },
		{ INDEX(IMAGE_D(A, FOR("linux", "amd64")) "," IMAGE_D(B, FOR("linux", "amd64"))),
		  NULL, A, "" },
		{ INDEX(""), NULL, NULL, "0 images" },
		{ INDEX(IMAGE_D(A, "")), A, A, "" },
		{ INDEX(IMAGE_D(A, FOR("linux", "arm64"))), A, A, "" },
		{ INDEX(IMAGE_D(A, FOR("linux", "386")) "," IMAGE_D(B, FOR("linux", "amd64"))),
		  NULL, B, "" },
		{ INDEX(IMAGE_D(A, FOR("linux", "386")) "," IMAGE_D(B, FOR("linux", "arm64"))),
		  NULL, A, "" },
		{ INDEX(IMAGE_D(A, VARIANT("amd64", "v2"))), NULL, NULL, "linux/amd64" },
		{ INDEX(IMAGE_D(A, VARIANT("amd64", "strange"))), NULL, NULL, "linux/amd64" },
		/* Entries without a platform, and entries that are not images. */
		{ INDEX(IMAGE_D(A, "") "," IMAGE_D(B, FOR("linux", "amd64"))), NULL, B, "" },
		{ INDEX(IMAGE_D(A, "") "," IMAGE_D(B, FOR("linux", "arm64"))), NULL, NULL,
		  "linux/amd64" },
		{ INDEX(IMAGE_D(A, ATTESTATION) "," IMAGE_D(B, FOR("linux", "amd64"))), NULL, B,
		  "" },
		{ INDEX(IMAGE_D(A, ATTESTATION) "," IMAGE_D(B, "")), NULL, B, "" },
		{ INDEX(IMAGE_D(A, FOR("unknown", "unknown")) "," IMAGE_D(B, "")), NULL, B, "" },
		{ INDEX(IMAGE_D(A, ARTIFACT) "," IMAGE_D(B, "")), NULL, B, "" },
		{ INDEX(IMAGE_D(A, ARTIFACT FOR("linux", "amd64"))), NULL, NULL,
		  "none of the 1 entries of the index is an image" },
		/* An invalid entry is an error only when it is chosen. */
		{ INDEX("7,{}," IMAGE_D("sha256:1", FOR("linux", "arm64")) "," IMAGE_D(
			  B, FOR("linux", "amd64"))),
		  NULL, B, "" },
		{ INDEX(IMAGE_D("sha256:1", FOR("linux", "amd64"))), NULL, NULL,
		  "image 1: 'sha256:1'" },
	};

	const struct image_platform machine = { "amd64", 1 };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
		const struct image_descriptor *chosen = NULL;
		enum image_document kind;
		struct error e = { 0 };
		int code;

		assert_int_equal(parse(cases[i].index, &kind, &all, NULL), 0);
		assert_int_equal(kind, IMAGE_DOCUMENT_INDEX);
		code = image_manifest_choose(&all, cases[i].tag, &machine, &chosen, &e);
		assert_int_equal(code == 0, cases[i].chosen != NULL);
		if (chosen)
			assert_string_equal(chosen->digest.text, cases[i].chosen);
		if (!strstr(e.text, cases[i].said))
			fail_msg("'%s' does not say %s", e.text, cases[i].said);
	}
}

static void the_best_variant_that_the_machine_can_run_is_chosen(void **unused)
{
	static const struct {
		struct image_platform machine;
		const char *chosen;
	} cases[] = {
		{ { "amd64", 1 }, B },	{ { "amd64", 2 }, C },	    { { "amd64", 3 }, C },
		{ { "amd64", 4 }, A },	{ { "arm64", 8 }, D },	    { { "arm", 7 }, D },
		{ { "arm", 6 }, NULL }, { { "riscv64", 0 }, NULL },
	};
	static const char index[] = INDEX(IMAGE_D(A, VARIANT("amd64", "v4")) "," IMAGE_D(
		B, FOR("linux", "amd64")) "," IMAGE_D(C, VARIANT("amd64",
								 "v2")) "," IMAGE_D(D,
										    VARIANT("arm",
											    "v7")));
	struct image_platform here;

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
		const struct image_descriptor *chosen = NULL;
		enum image_document kind;
		int code;

		assert_int_equal(parse(index, &kind, &all, NULL), 0);
		code = image_manifest_choose(&all, NULL, &cases[i].machine, &chosen, NULL);
		assert_int_equal(code, cases[i].chosen ? 0 : -ENOENT);
		if (chosen)
			assert_string_equal(chosen->digest.text, cases[i].chosen);
	}
	here = image_platform_here();
	assert_true(image_platform_rank(&here, "linux", here.architecture, "") > 0);
}

static void a_built_manifest_can_be_parsed(void **unused)
{
	struct image_descriptor items[] = {
		{ .media_type = (char *)IMAGE_MEDIA_TYPE_CONFIG,
		  .digest = digest(A),
		  .size_bytes = 1 },
		{ .media_type = (char *)IMAGE_MEDIA_TYPE_LAYER,
		  .digest = digest(B),
		  .size_bytes = 2 },
	};
	struct image_descriptors built = { items, 2 };
	cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
	cleanup(free_ptr) char *text = NULL;
	enum image_document kind;
	size_t length;

	(void)unused;
	assert_int_equal(image_manifest_build(&built, &text, &length, NULL), 0);
	assert_int_equal(image_manifest_parse(text, length, IMAGE_MEDIA_TYPE_MANIFEST, &kind, &all,
					      NULL),
			 0);
	assert_int_equal(all.count, 2);
	assert_string_equal(all.items[1].digest.text, B);
	assert_int_equal(all.items[1].size_bytes, 2);
}

static void a_tag_moves_to_the_image_that_was_added_last(void **unused)
{
	static const char *const digests[] = { A, B, C };
	static const char *const tags[] = { "one", "two", "one" };
	cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
	cleanup(free_ptr) char *text = NULL;
	enum image_document kind;
	size_t length = 0;

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		struct image_descriptor image = { .media_type = (char *)IMAGE_MEDIA_TYPE_MANIFEST,
						  .digest = digest(digests[i]) };
		char *next = NULL;

		assert_int_equal(image_manifest_add_to_index(text, length, &image, tags[i], &next,
							     &length, NULL),
				 0);
		free(text);
		text = next;
	}
	assert_int_equal(image_manifest_parse(text, length, NULL, &kind, &all, NULL), 0);
	assert_int_equal(all.count, 2);
	assert_string_equal(all.items[0].tag, "two");
	assert_string_equal(all.items[0].digest.text, B);
	assert_string_equal(all.items[1].tag, "one");
	assert_string_equal(all.items[1].digest.text, C);
}

static void odd_json_that_go_accepts_is_accepted(void **unused)
{
	static const char *const odd[] = {
		"\"a\":\"x\\u0000y\"",
		"\"a\":1,\"a\":2",
		"\"a\":\"\xff\xc0\x80\"",
		"\"a\":\"\\ud800\"",
		"\"a\":\"\\udc00\\ud83d\\ude00\\\\ud800\"",
		"\"\xff\":1",
	};
	struct image_config_layer layers[] = { { digest(A), 0, "they" }, { digest(B), 0, "we" } };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		cleanup(free_ptr) char *more = NULL;
		struct image_diff_ids ids = { 0 };
		char config[300];
		size_t length;

		length = (size_t)snprintf(config, sizeof(config),
					  "{%s,\"rootfs\":{\"diff_ids\":[\"%s\"]}}", odd[i], A);
		assert_int_equal(image_config_parse(config, length, &ids, NULL), 0);
		assert_int_equal(ids.count, 1);
		free(ids.items);
		/* A config that continues it can be built. */
		assert_int_equal(image_config_build(config, length, layers, 2, "amd64", &more,
						    &length, NULL),
				 0);
		assert_int_equal(image_config_parse(more, length, &ids, NULL), 0);
		assert_int_equal(ids.count, 2);
		free(ids.items);
	}
}

static void a_built_config_continues_its_base(void **unused)
{
	static const char base[] = "{\"architecture\":\"arm64\",\"config\":{\"Cmd\":[\"x\"]},"
				   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" A "\"]},"
				   "\"history\":[{\"created_by\":\"they\"}],\"os\":\"linux\"}";
	struct image_config_layer layers[] = {
		{ digest(A), 0, "they" },
		{ digest(B), INT64_C(1700000000) * 1000000000, "we" },
	};
	cleanup(free_ptr) char *same = NULL;
	cleanup(free_ptr) char *more = NULL;
	cleanup(free_ptr) char *fresh = NULL;
	char *none = NULL;
	struct image_diff_ids ids = { 0 };
	struct error e = { 0 };
	size_t length;

	(void)unused;
	assert_int_equal(image_config_build(base, strlen(base), layers, 1, "amd64", &same, &length,
					    NULL),
			 0);
	assert_string_equal(same, base);
	assert_int_equal(image_config_build(base, strlen(base), layers, 2, "amd64", &more, &length,
					    NULL),
			 0);
	assert_non_null(strstr(more, "\"Cmd\":[\"x\"]"));
	assert_non_null(strstr(more, "arm64"));
	assert_non_null(strstr(more, "\"created\":\"2023-11-14T22:13:20Z\",\"created_by\":\"we\""));
	assert_int_equal(image_config_parse(more, length, &ids, NULL), 0);
	assert_int_equal(ids.count, 2);
	assert_string_equal(ids.items[1].text, B);
	free(ids.items);
	assert_int_equal(image_config_build(NULL, 0, layers, 2, "amd64", &fresh, &length, NULL), 0);
	assert_non_null(strstr(fresh, "amd64"));
	layers[0].diff_id = digest(C);
	assert_int_equal(image_config_build(base, strlen(base), layers, 2, "amd64", &none, &length,
					    &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, C));
	assert_null(none);
}

/* The examples of the specification's config.md have no digests, so these were made with
 * sha256sum. */
static void chain_ids_follow_the_specification(void **unused)
{
	struct digest a = digest(A), b = digest(B), c = digest(C), chain, blobs, pair;

	(void)unused;
	assert_int_equal(chain_id_append(NULL, &a, &chain), 0);
	assert_string_equal(chain.text, A);
	assert_int_equal(chain_id_append(&chain, &b, &chain), 0);
	assert_int_equal(digest_of(A " " B, 2 * 71 + 1, &pair), 0);
	assert_string_equal(chain.text, pair.text);
	assert_int_equal(chain_id_append_blob(NULL, &a, &b, &blobs), 0);
	assert_string_equal(blobs.text, pair.text);
	assert_int_equal(chain_id_append_blob(&c, &a, &b, &blobs), 0);
	assert_int_equal(chain_id_append(&c, &pair, &chain), 0);
	assert_string_equal(blobs.text, chain.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manifests_are_parsed),
		cmocka_unit_test(invalid_manifests_are_refused_and_the_fault_named),
		cmocka_unit_test(too_many_layers_are_refused),
		cmocka_unit_test(the_best_variant_that_the_machine_can_run_is_chosen),
		cmocka_unit_test(the_image_of_an_index_is_chosen_by_tag_digest_and_platform),
		cmocka_unit_test(a_built_manifest_can_be_parsed),
		cmocka_unit_test(a_tag_moves_to_the_image_that_was_added_last),
		cmocka_unit_test(odd_json_that_go_accepts_is_accepted),
		cmocka_unit_test(a_built_config_continues_its_base),
		cmocka_unit_test(chain_ids_follow_the_specification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
