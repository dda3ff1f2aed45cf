/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_state.h"

#include <stdio.h>
#include <string.h>

const char *const top_state_sorts[TOP_SORTS] = { "rate", "opens", "size",   "read",
						 "last", "uses",  "created" };
const char *const top_state_views[TOP_VIEW_COUNT] = {
	[TOP_RECORDS] = "records", [TOP_LAYERS] = "layers", [TOP_FILES] = "files",
	[TOP_WHO] = "who",	   [TOP_OWNERS] = "owners", [TOP_EVICTION] = "eviction",
};

static void free_message(void *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

void top_state_free(struct top_state *s)
{
	if (s->sums_reply != s->live)
		free_message(s->sums_reply);
	free_message(s->live);
	free_message(s->policies);
	free_message(s->regrets);
	free_message(s->readers);
	free_message(s->owners);
	cli_call_free_replies(&s->files);
	cli_call_free_replies(&s->events);
	strbuf_free(&s->page);
	*s = (struct top_state){ 0 };
}

static bool is_live_view(const struct top_state *s)
{
	return s->view == TOP_RECORDS || s->view == TOP_LAYERS;
}

static size_t count_files(const struct top_state *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->files.count; i++)
		count += ((Varve__V1__FileBatch *)s->files.items[i])->n_files;
	return count;
}

size_t top_state_rows(const struct top_state *s)
{
	switch (s->view) {
	case TOP_FILES:
		return count_files(s);
	case TOP_WHO:
		return s->readers ? s->readers->n_readers : 0;
	case TOP_OWNERS:
		return s->owners ? s->owners->n_owners : 0;
	case TOP_EVICTION:
		return s->policies ? s->policies->n_policies : 0;
	default:
		return s->live ? (size_t)s->live->matching : 0;
	}
}

size_t top_state_page_lines(const struct top_state *s)
{
	size_t lines = 0;

	for (size_t i = 0; i < s->page.length; i++)
		lines += s->page.text[i] == '\n';
	return lines;
}

void top_state_show_page(struct top_state *s, struct strbuf *text)
{
	strbuf_free(&s->page);
	s->page = *text;
	*text = (struct strbuf){ 0 };
	s->page_first = 0;
	s->mode = TOP_PAGE;
}

void top_state_help(struct strbuf *out)
{
	strbuf_append(out,
		      "Keys of varve top\n\n"
		      "Tab, Shift-Tab   next view, previous view\n"
		      "up, down, PgUp, PgDn, Home, End   move the cursor\n"
		      "Enter            details of the record\n"
		      "e                explain why it is kept, or would be evicted\n"
		      "f                its files, the most opened first\n"
		      "p                pin or unpin it\n"
		      "P                plan a prune: nothing is deleted\n"
		      "/                filter, as in varve ls --filter; empty: none\n"
		      "s, 1 to 7        order by rate, opens, size, read, last, uses, created\n"
		      "r                reverse the order\n"
		      "u                ask the agent now\n"
		      "space            pause, and go on\n"
		      "q                quit\n\n"
		      "ST: u in use, p pinned, l lazy, w writable.\n"
		      "READ/s and OPEN/s are of the last interval, HEAT is of the last ten\n"
		      "minutes. bpf is the time that the accounting's programs take, as a share\n"
		      "of one processor; the kernel measures it while this runs.\n");
}

/* The row with the cursor, if it is among those that the agent sent. */
static const Varve__V1__LiveRow *row_at(const struct top_state *s, size_t row)
{
	if (!s->live || row < s->first || row - s->first >= s->live->n_rows)
		return NULL;
	return s->live->rows[row - s->first];
}

static void note_selected(struct top_state *s)
{
	const Varve__V1__LiveRow *row = row_at(s, s->selected);

	(void)snprintf(s->selected_id, sizeof(s->selected_id), "%s", row ? row->id : "");
}

void top_state_take_live(struct top_state *s, Varve__V1__LiveReply *live)
{
	if (s->live != s->sums_reply)
		free_message(s->live);
	s->live = live;
	if (live->sums) {
		if (s->sums_reply != live)
			free_message(s->sums_reply);
		s->sums_reply = live;
		s->sums = live->sums;
	}
	if (!is_live_view(s))
		return;
	for (size_t i = 0; s->selected_id[0] && i < live->n_rows; i++)
		if (strcmp(live->rows[i]->id, s->selected_id) == 0) {
			s->selected = s->first + i;
			return;
		}
	if (live->n_rows > 0 && s->selected >= s->first + live->n_rows)
		s->selected = s->first + live->n_rows - 1;
	note_selected(s);
}

/* ---- keys ---- */

/* Moves the cursor; the list follows it. True: other rows are shown now. */
static bool move_to(struct top_state *s, size_t row)
{
	size_t rows = top_state_rows(s), first = s->first;
	size_t page = s->page_rows > 0 ? s->page_rows : 1;

	if (rows == 0)
		return false;
	s->selected = row < rows ? row : rows - 1;
	if (s->selected < s->first)
		s->first = s->selected;
	if (s->selected >= s->first + page)
		s->first = s->selected - page + 1;
	if (s->first != first && is_live_view(s))
		s->selected_id[0] = '\0'; /* until the new rows are here */
	else if (is_live_view(s))
		note_selected(s);
	return s->first != first;
}

static size_t minus(size_t a, size_t b)
{
	return a > b ? a - b : 0;
}

static enum top_command scroll_page(struct top_state *s, int key)
{
	size_t lines = top_state_page_lines(s), page = s->page_rows > 0 ? s->page_rows : 1;
	size_t last = minus(lines, page), at = s->page_first;

	switch (key) {
	case TOP_KEY_UP:
	case 'k':
		at = minus(at, 1);
		break;
	case TOP_KEY_DOWN:
	case 'j':
		at++;
		break;
	case TOP_KEY_PAGE_UP:
		at = minus(at, page);
		break;
	case TOP_KEY_PAGE_DOWN:
	case ' ':
		at += page;
		break;
	case TOP_KEY_HOME:
		at = 0;
		break;
	case TOP_KEY_END:
		at = last;
		break;
	case 'q':
	case TOP_KEY_ESCAPE:
	case TOP_KEY_ENTER:
	case TOP_KEY_BACKSPACE:
		s->mode = TOP_LIST;
		return TOP_REDRAW;
	default:
		return TOP_NOTHING;
	}
	s->page_first = at < last ? at : last;
	return TOP_REDRAW;
}

static enum top_command finish_input(struct top_state *s)
{
	bool plan = s->mode == TOP_ASK_PLAN;

	s->mode = TOP_LIST;
	if (plan)
		return TOP_PLAN;
	(void)snprintf(s->filter, sizeof(s->filter), "%s", s->input);
	s->first = s->selected = 0;
	s->selected_id[0] = '\0';
	return TOP_REFRESH;
}

static enum top_command edit_input(struct top_state *s, int key)
{
	size_t length = strlen(s->input);

	switch (key) {
	case TOP_KEY_ESCAPE:
		s->mode = TOP_LIST;
		return TOP_REDRAW;
	case TOP_KEY_ENTER:
		return finish_input(s);
	case TOP_KEY_BACKSPACE:
		/* The whole of a character, which has several bytes in UTF-8. */
		while (length > 0 && ((unsigned char)s->input[--length] & 0xc0) == 0x80)
			;
		s->input[length] = '\0';
		return TOP_REDRAW;
	case 0x15: /* Ctrl-U */
		s->input[0] = '\0';
		return TOP_REDRAW;
	default:
		if (key < ' ' || key > 0xff || key == 0x7f || length + 1 >= sizeof(s->input))
			return TOP_NOTHING;
		s->input[length] = (char)key;
		s->input[length + 1] = '\0';
		return TOP_REDRAW;
	}
}

static enum top_command choose_view(struct top_state *s, size_t view)
{
	s->view = (enum top_view)(view % TOP_VIEW_COUNT);
	s->first = s->selected = 0;
	return TOP_REFRESH;
}

static enum top_command choose_sort(struct top_state *s, size_t sort)
{
	s->sort = sort % TOP_SORTS;
	s->first = s->selected = 0;
	s->selected_id[0] = '\0';
	return is_live_view(s) ? TOP_REFRESH : TOP_NOTHING;
}

static enum top_command ask(struct top_state *s, enum top_mode mode, const char *input)
{
	s->mode = mode;
	(void)snprintf(s->input, sizeof(s->input), "%s", input);
	return TOP_REDRAW;
}

/* For what is about a record. */
static enum top_command with_record(struct top_state *s, enum top_command command)
{
	if (is_live_view(s) && s->selected_id[0])
		return command;
	(void)snprintf(s->notice, sizeof(s->notice),
		       "choose a record in the views of records or layers first");
	return TOP_REDRAW;
}

static enum top_command move(struct top_state *s, int key)
{
	size_t page = s->page_rows > 0 ? s->page_rows : 1, to = s->selected;

	switch (key) {
	case TOP_KEY_UP:
	case 'k':
		to = minus(to, 1);
		break;
	case TOP_KEY_DOWN:
	case 'j':
		to++;
		break;
	case TOP_KEY_PAGE_UP:
		to = minus(to, page);
		break;
	case TOP_KEY_PAGE_DOWN:
		to += page;
		break;
	case TOP_KEY_HOME:
		to = 0;
		break;
	case TOP_KEY_END:
		to = minus(top_state_rows(s), 1);
		break;
	default:
		return TOP_NOTHING;
	}
	return move_to(s, to) && is_live_view(s) ? TOP_REFRESH : TOP_REDRAW;
}

static enum top_command show_files(struct top_state *s)
{
	enum top_command command = with_record(s, TOP_REFRESH);

	if (command != TOP_REFRESH)
		return command;
	(void)snprintf(s->files_id, sizeof(s->files_id), "%s", s->selected_id);
	s->files_ns = 0;
	return choose_view(s, TOP_FILES);
}

static enum top_command list_key(struct top_state *s, int key)
{
	if (key >= '1' && key < '1' + TOP_SORTS)
		return choose_sort(s, (size_t)(key - '1'));
	switch (key) {
	case 'q':
		return TOP_QUIT;
	case '\t':
		return choose_view(s, s->view + 1U);
	case TOP_KEY_BACK_TAB:
		return choose_view(s, s->view + TOP_VIEW_COUNT - 1U);
	case 's':
		return choose_sort(s, s->sort + 1);
	case 'r':
		s->reverse = !s->reverse;
		return choose_sort(s, s->sort);
	case 'u':
		s->files_ns = 0;
		return TOP_REFRESH;
	case ' ':
		s->paused = !s->paused;
		return s->paused ? TOP_REDRAW : TOP_REFRESH;
	case '/':
		return ask(s, TOP_ASK_FILTER, s->filter);
	case 'P':
		return ask(s, TOP_ASK_PLAN, "");
	case 'f':
		return show_files(s);
	case 'p':
		return with_record(s, TOP_PIN);
	case 'e':
		return with_record(s, TOP_EXPLAIN);
	case TOP_KEY_ENTER:
		return with_record(s, TOP_DETAIL);
	case '?':
	case 'h':
		return TOP_HELP;
	default:
		return move(s, key);
	}
}

enum top_command top_state_key(struct top_state *s, int key)
{
	s->notice[0] = '\0';
	switch (s->mode) {
	case TOP_PAGE:
		return scroll_page(s, key);
	case TOP_ASK_FILTER:
	case TOP_ASK_PLAN:
		return edit_input(s, key);
	default:
		return list_key(s, key);
	}
}
