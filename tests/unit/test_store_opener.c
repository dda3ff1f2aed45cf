/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/store_opener.h"

static const struct grpc_method info = { .path = "/varve.v1.Cache/Info" };
static const struct grpc_method list = { .path = "/varve.v1.Cache/List" };

struct start {
	struct store_opener *opener;
	int gate[2]; /* a pipe: the store is opened when a result comes out of it */
	int ended_code;
	unsigned progressed, ended;
};

static int open_store(void *user, struct error *e)
{
	const struct start *s = user;
	int code;

	if (read(s->gate[0], &code, sizeof(code)) != sizeof(code))
		return error_set(e, -EPIPE, "no result");
	return code < 0 ? error_set(e, code, "refused") : 0;
}

static void progress(bool ended, int code, void *user)
{
	struct start *s = user;

	s->progressed++;
	s->ended += ended;
	s->ended_code = code;
}

static void begin(sd_event *loop, struct start *s)
{
	const struct store_opener_options options = { .open = open_store,
						      .progress = progress,
						      .user = s };
	struct error e = { 0 };

	assert_int_equal(pipe(s->gate), 0);
	assert_int_equal(store_opener_new(loop, &options, &s->opener, &e), 0);
}

static void end(sd_event *loop, struct start *s, int wanted)
{
	struct error e = { 0 };

	assert_int_equal(store_opener_wait(s->opener, &e), wanted);
	assert_int_equal(e.code, wanted);
	store_opener_free(s->opener);
	sd_event_unref(loop);
	(void)close(s->gate[0]);
	(void)close(s->gate[1]);
}

/* Runs the loop until there has been progress so often. */
static void run_until(sd_event *loop, const struct start *s, unsigned progressed)
{
	while (s->progressed < progressed)
		assert_true(sd_event_run(loop, UINT64_MAX) >= 0);
}

static void tell(const struct start *s, int code)
{
	assert_int_equal(write(s->gate[1], &code, sizeof(code)), sizeof(code));
}

static void a_long_start_answers_info_and_lets_other_calls_wait(void **unused)
{
	struct start s = { 0 };
	sd_event *loop = NULL;

	(void)unused;
	assert_true(sd_event_new(&loop) >= 0);
	begin(loop, &s);
	assert_false(store_opener_lets_run(s.opener, &info));
	run_until(loop, &s, 1);
	assert_int_equal(s.ended, 0);
	assert_true(store_opener_lets_run(s.opener, &info));
	assert_false(store_opener_lets_run(s.opener, &list));
	assert_false(store_opener_is_done(s.opener));
	tell(&s, 0);
	run_until(loop, &s, 2);
	assert_int_equal(s.ended, 1);
	assert_int_equal(s.ended_code, 0);
	assert_true(store_opener_is_done(s.opener));
	assert_true(store_opener_lets_run(s.opener, &list));
	end(loop, &s, 0);
}

static void no_call_runs_after_a_start_that_failed(void **unused)
{
	struct start s = { 0 };
	sd_event *loop = NULL;

	(void)unused;
	assert_true(sd_event_new(&loop) >= 0);
	begin(loop, &s);
	tell(&s, -EIO);
	while (s.ended == 0)
		run_until(loop, &s, s.progressed + 1);
	assert_int_equal(s.ended_code, -EIO);
	assert_false(store_opener_is_done(s.opener));
	assert_false(store_opener_lets_run(s.opener, &list));
	end(loop, &s, -EIO);
}

static void without_an_opener_nothing_is_open(void **unused)
{
	(void)unused;
	assert_false(store_opener_is_done(NULL));
	assert_false(store_opener_lets_run(NULL, &info));
	store_opener_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_start_answers_info_and_lets_other_calls_wait),
		cmocka_unit_test(no_call_runs_after_a_start_that_failed),
		cmocka_unit_test(without_an_opener_nothing_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
