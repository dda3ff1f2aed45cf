/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "fetch/challenge.h"

static const char *shown(const char *text)
{
	return text ? text : "-";
}

static void challenges_are_parsed_from_headers(void **state)
{
	static const struct {
		const char *header;
		bool basic;
		const char *realm, *service, *scope;
	} cases[] = {
		{ "", false, "-", "-", "-" },
		{ "Basic realm=\"x\"", true, "-", "-", "-" },
		{ "bearer REALM=\"https://a/t\",service=\"s\",scope=\"repository:x:pull,push\"",
		  false, "https://a/t", "s", "repository:x:pull,push" },
		{ "Bearer realm=r,scope=\"a:pull b:pull\",scope=c", false, "r", "-",
		  "a:pull b:pull c" },
		{ "Bearer realm=\"https://a/t\" , service = s", false, "https://a/t", "s", "-" },
		{ "Bearer realm=\"a \\\"b\\\\\"", false, "a \"b\\", "-", "-" },
		{ "Bearer realm=\"open", false, "open", "-", "-" },
		{ "Basic realm=x, Bearer realm=y", true, "y", "-", "-" },
		{ "Bearer realm=y, Basic realm=x, Bearer realm=z", true, "y", "-", "-" },
		{ "Negotiate, Basic", true, "-", "-", "-" },
		{ "Negotiate abc==, Bearer realm=y", false, "y", "-", "-" },
		{ "Bearer", false, "-", "-", "-" },
		{ "=,;\", Basic realm=x", true, "-", "-", "-" },
		{ "Bearer realm=y,error=\"insufficient_scope\"", false, "y", "-", "-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct challenge c = { 0 };

		assert_int_equal(challenge_add(&c, cases[i].header), 0);
		assert_int_equal(c.basic, cases[i].basic);
		assert_string_equal(shown(c.realm), cases[i].realm);
		assert_string_equal(shown(c.service), cases[i].service);
		assert_string_equal(shown(c.scope), cases[i].scope);
		challenge_free(&c);
	}
}

static void tokens_are_parsed_and_invalid_ones_refused(void **state)
{
	static const struct {
		const char *json;
		int code;
		const char *token;
	} cases[] = {
		{ "{\"token\":\"a.b-c\"}", 0, "a.b-c" },
		{ "{\"access_token\":\"abc\",\"expires_in\":1}", 0, "abc" },
		{ "{\"token\":\"one\",\"access_token\":\"two\"}", 0, "one" },
		{ "{\"token\":\"\"}", -EBADMSG, "-" },
		{ "{\"token\":7}", -EBADMSG, "-" },
		{ "{\"token\":\"a\\r\\nX: y\"}", -EBADMSG, "-" },
		{ "{\"token\":\"a b\"}", -EBADMSG, "-" },
		{ "{\"token\":\"\xc3\xa4\"}", -EBADMSG, "-" },
		{ "[]", -EBADMSG, "-" },
		{ "<html>", -EBADMSG, "-" },
		{ "", -EBADMSG, "-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(free_ptr) char *token = NULL;
		struct error e = { 0 };

		assert_int_equal(challenge_read_token(cases[i].json, strlen(cases[i].json), &token,
						      &e),
				 cases[i].code);
		assert_string_equal(shown(token), cases[i].token);
		assert_true(cases[i].code == 0 || e.text[0]);
	}
}

static void a_registrys_own_message_is_found_in_its_answer(void **state)
{
	static const struct {
		const char *json, *problem;
	} cases[] = {
		{ "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not yours\"}]}", "not yours" },
		{ "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"\"}]}", "DENIED" },
		{ "{\"errors\":[{\"message\":\"longer than there is room\"}]}", "longer than" },
		{ "{\"errors\":[]}", "" },
		{ "{\"errors\":{}}", "" },
		{ "oops", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char problem[12];

		assert_string_equal(challenge_read_problem(cases[i].json, strlen(cases[i].json),
							   problem, sizeof(problem)),
				    cases[i].problem);
	}
}

static void basic_credentials_are_encoded(void **state)
{
	static const char *const cases[][2] = {
		{ "", "Basic " },
		{ "a", "Basic YQ==" },
		{ "a:", "Basic YTo=" },
		{ "a:b", "Basic YTpi" },
		{ "Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
		{ "\xff\xfe\xfd", "Basic //79" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(free_ptr) char *text = challenge_basic(cases[i][0]);

		assert_string_equal(text, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(challenges_are_parsed_from_headers),
		cmocka_unit_test(tokens_are_parsed_and_invalid_ones_refused),
		cmocka_unit_test(a_registrys_own_message_is_found_in_its_answer),
		cmocka_unit_test(basic_credentials_are_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
