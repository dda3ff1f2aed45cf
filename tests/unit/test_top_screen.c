/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_screen.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/top/top_text.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)

/* ---- texts ---- */

static void sizes_counts_and_ages_are_short(void **state)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} sizes[] = {
		{ 0, "0" },
		{ 999, "999" },
		{ 1000, "1.0K" },
		{ 1536, "1.5K" },
		{ 1 << 20, "1.0M" },
		{ 123 << 20, "123M" },
		{ 1023 << 20, "1.0G" },
		{ -1, "-" },
		{ INT64_MAX, "8.0E" },
	};
	char text[TOP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_string_equal(top_text_size(sizes[i].bytes, false, text), sizes[i].text);
	assert_string_equal(top_text_count(0.2, text), "<1");
	assert_string_equal(top_text_count(999, text), "999");
	assert_string_equal(top_text_count(3100, text), "3.1k");
	assert_string_equal(top_text_age(0, NOW, text), "never");
	assert_string_equal(top_text_age(NOW, NOW, text), "now");
	assert_string_equal(top_text_age(NOW - 90 * NS_PER_S, NOW, text), "90s");
	assert_string_equal(top_text_age(NOW - 3 * 86400 * NS_PER_S, NOW, text), "3d");
	assert_string_equal(top_text_span(26 * 3600 * NS_PER_S, text), "1d02h");
	assert_string_equal(top_text_clock(NOW, text), "22:13:20Z");
}

static void a_spark_shows_something_wherever_something_was_read(void **state)
{
	static const uint32_t values[] = { 0, 0, 1, 0, 0, 0, 1000000, 0 };
	cleanup(strbuf_free) struct strbuf ascii = { 0 }, utf8 = { 0 }, nothing = { 0 };

	(void)state;
	top_text_spark(&ascii, values, 8, 4, false);
	assert_string_equal(ascii.text, " . #");
	top_text_spark(&utf8, values, 8, 4, true);
	assert_string_equal(utf8.text, " \xe2\x96\x81 \xe2\x96\x88");
	top_text_spark(&nothing, values, 2, 4, false);
	assert_string_equal(nothing.text, "  ");
}

static void a_text_is_cut_padded_and_escaped(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		bool right;
		const char *fitted;
	} cases[] = {
		{ "abc", 5, false, "abc  " },	{ "abc", 5, true, "  abc" },
		{ "abcdef", 4, false, "abc+" }, { "a\033[31m", 20, false, "a\\x1b[31m           " },
		{ "", 2, false, "  " },		{ "abc", 0, false, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(strbuf_free) struct strbuf out = { 0 };

		top_text_fit(&out, cases[i].text, cases[i].columns, cases[i].right, false);
		assert_string_equal(out.text ? out.text : "", cases[i].fitted);
	}
}

/* ---- the screen ---- */

/* An agent's answer with so many rows, which point into `rows`. */
static Varve__V1__LiveReply *make_live(size_t count)
{
	Varve__V1__LiveReply *live = calloc(1, sizeof(*live));

	varve__v1__live_reply__init(live);
	live->backend = strdup("syscall");
	live->time_ns = NOW;
	live->started_ns = NOW - 3600 * NS_PER_S;
	live->matching = 100;
	live->rows = calloc(count, sizeof(*live->rows));
	for (size_t i = 0; i < count; i++) {
		Varve__V1__LiveRow *row = calloc(1, sizeof(*row));
		char id[26];

		varve__v1__live_row__init(row);
		(void)snprintf(id, sizeof(id), "record%019zu", i);
		row->id = strdup(id);
		row->description = strdup("evil \033[2J\n\xe2\x80\xaename");
		row->size = 1 << 20;
		row->last_read_ns = i == 0 ? NOW : 0;
		live->rows[live->n_rows++] = row;
	}
	live->sums = calloc(1, sizeof(*live->sums));
	varve__v1__live_sums__init(live->sums);
	live->sums->records = 100;
	live->sums->used = 5 << 20;
	return live;
}

static void every_size_of_a_terminal_is_filled_and_never_exceeded(void **state)
{
	static const size_t sizes[][2] = { { 1, 1 },   { 2, 10 },   { 5, 20 },
					   { 24, 80 }, { 50, 200 }, { 8, 1000 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int view = 0; view < TOP_VIEW_COUNT; view++) {
			cleanup(top_state_free) struct top_state s = { .view = (enum top_view)view,
								       .program_share = -1 };
			cleanup(top_screen_free) struct top_screen screen = {
				.frame = { .rows = sizes[i][0],
					   .columns = sizes[i][1],
					   .utf8 = true,
					   .now_ns = NOW },
			};

			top_state_take_live(&s, make_live(60));
			s.away_ns = NOW;
			top_screen_draw(&screen, &s);
			assert_false(screen.failed);
			for (size_t k = 0; k < screen.count; k++) {
				assert_true(top_text_columns(screen.lines[k].text) <= sizes[i][1]);
				assert_null(strpbrk(screen.lines[k].text, "\033\n"));
				assert_null(strstr(screen.lines[k].text, "\xe2\x80\xae"));
			}
			if (sizes[i][0] >= 4)
				assert_int_equal(screen.count, sizes[i][0]);
		}
	}
}

static const char *find_line(const struct top_screen *screen, const char *part)
{
	for (size_t i = 0; i < screen->count; i++)
		if (strstr(screen->lines[i].text, part))
			return screen->lines[i].text;
	return NULL;
}

static void batch_mode_has_whole_lines_and_neither_pictures_nor_keys(void **state)
{
	cleanup(top_state_free) struct top_state s = { .program_share = 0.0012 };
	cleanup(top_screen_free) struct top_screen screen = {
		.frame = { .utf8 = true, .batch = true, .now_ns = NOW },
	};

	(void)state;
	top_state_take_live(&s, make_live(3));
	top_screen_draw(&screen, &s);
	assert_non_null(find_line(&screen, "up 1h00m"));
	assert_non_null(find_line(&screen, "bpf 0.12% cpu"));
	assert_non_null(find_line(&screen, "lost 0"));
	assert_non_null(find_line(&screen, "view records   order rate   100 match"));
	assert_non_null(find_line(&screen, "evil \\x1b[2J\\n\\u202ename"));
	assert_null(find_line(&screen, "HEAT"));
	assert_null(find_line(&screen, "Tab"));
}

/* Where nothing counts, nothing is said to be never read. */
static void without_a_backend_nothing_is_called_never_read(void **state)
{
	cleanup(top_state_free) struct top_state s = { .program_share = -1 };
	cleanup(top_screen_free) struct top_screen screen = {
		.frame = { .utf8 = false, .batch = true, .now_ns = NOW },
	};
	Varve__V1__LiveReply *live = make_live(2);

	(void)state;
	strcpy(live->backend, "none");
	live->rows[0]->last_read_ns = 0;
	top_state_take_live(&s, live);
	top_screen_draw(&screen, &s);
	assert_null(find_line(&screen, " never "));
	assert_non_null(find_line(&screen, "never read -"));
}

static void an_agent_that_is_away_is_shown_with_what_it_said_last(void **state)
{
	cleanup(top_state_free) struct top_state s = { .program_share = -1, .away_ns = NOW };
	cleanup(top_screen_free) struct top_screen screen = {
		.frame = { .rows = 24, .columns = 80, .now_ns = NOW },
	};

	(void)state;
	(void)snprintf(s.away_why, sizeof(s.away_why), "nothing listens");
	top_state_take_live(&s, make_live(3));
	top_screen_draw(&screen, &s);
	assert_non_null(find_line(&screen, "agent away since 22:13:20Z, trying again: nothing"));
	assert_non_null(find_line(&screen, "record000000"));
}

/* ---- keys ---- */

static void the_cursor_stays_on_its_record_when_the_order_changes(void **state)
{
	cleanup(top_state_free) struct top_state s = { .page_rows = 10 };
	Varve__V1__LiveReply *again = make_live(10);
	Varve__V1__LiveRow *row = again->rows[1];

	(void)state;
	top_state_take_live(&s, make_live(10));
	assert_int_equal(top_state_key(&s, TOP_KEY_DOWN), TOP_REDRAW);
	assert_string_equal(s.selected_id, row->id);
	again->rows[1] = again->rows[7];
	again->rows[7] = row;
	top_state_take_live(&s, again);
	assert_int_equal(s.selected, 7);
	assert_int_equal(top_state_key(&s, 'e'), TOP_EXPLAIN);
}

static void moving_beyond_the_page_asks_for_other_rows_and_no_further_than_the_last(void **state)
{
	cleanup(top_state_free) struct top_state s = { .page_rows = 10 };

	(void)state;
	top_state_take_live(&s, make_live(10));
	assert_int_equal(top_state_key(&s, TOP_KEY_END), TOP_REFRESH);
	assert_int_equal(s.selected, 99);
	assert_int_equal(s.first, 90);
	assert_int_equal(top_state_key(&s, 'p'), TOP_REDRAW); /* not the record that was there */
	assert_int_equal(top_state_key(&s, TOP_KEY_HOME), TOP_REFRESH);
	assert_int_equal(s.first, 0);
}

static void the_filter_is_edited_whole_characters_at_a_time(void **state)
{
	cleanup(top_state_free) struct top_state s = { .page_rows = 10 };

	(void)state;
	assert_int_equal(top_state_key(&s, '/'), TOP_REDRAW);
	for (const char *c = "a\xc3\xa4q"; *c; c++)
		assert_int_equal(top_state_key(&s, (unsigned char)*c), TOP_REDRAW);
	(void)top_state_key(&s, TOP_KEY_BACKSPACE);
	(void)top_state_key(&s, TOP_KEY_BACKSPACE);
	(void)top_state_key(&s, 'b');
	for (int i = 0; i < 2 * TOP_INPUT_SIZE; i++)
		(void)top_state_key(&s, 'c'); /* as much as fits */
	assert_int_equal(strlen(s.input), TOP_INPUT_SIZE - 1);
	assert_int_equal(top_state_key(&s, TOP_KEY_ENTER), TOP_REFRESH);
	assert_memory_equal(s.filter, "abc", 3);
	assert_int_equal(top_state_key(&s, 'q'), TOP_QUIT);
}

static void a_page_scrolls_and_is_left(void **state)
{
	cleanup(top_state_free) struct top_state s = { .page_rows = 5 };
	struct strbuf text = { 0 };

	(void)state;
	top_state_help(&text);
	top_state_show_page(&s, &text);
	(void)top_state_key(&s, TOP_KEY_UP);
	assert_int_equal(s.page_first, 0);
	(void)top_state_key(&s, TOP_KEY_END);
	assert_int_equal(s.page_first, top_state_page_lines(&s) - 5);
	(void)top_state_key(&s, TOP_KEY_PAGE_DOWN);
	assert_int_equal(s.page_first, top_state_page_lines(&s) - 5);
	assert_int_equal(top_state_key(&s, 'q'), TOP_REDRAW);
	assert_int_equal(s.mode, TOP_LIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_counts_and_ages_are_short),
		cmocka_unit_test(a_spark_shows_something_wherever_something_was_read),
		cmocka_unit_test(a_text_is_cut_padded_and_escaped),
		cmocka_unit_test(every_size_of_a_terminal_is_filled_and_never_exceeded),
		cmocka_unit_test(batch_mode_has_whole_lines_and_neither_pictures_nor_keys),
		cmocka_unit_test(without_a_backend_nothing_is_called_never_read),
		cmocka_unit_test(an_agent_that_is_away_is_shown_with_what_it_said_last),
		cmocka_unit_test(the_cursor_stays_on_its_record_when_the_order_changes),
		cmocka_unit_test(
			moving_beyond_the_page_asks_for_other_rows_and_no_further_than_the_last),
		cmocka_unit_test(the_filter_is_edited_whole_characters_at_a_time),
		cmocka_unit_test(a_page_scrolls_and_is_left),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
