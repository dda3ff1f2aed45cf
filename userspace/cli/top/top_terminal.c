/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top/top_terminal.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/top/top_restore.h"

/* ---- opening ---- */

static const struct {
	enum top_style style;
	short color;
	attr_t with_color, without;
} styles[] = {
	{ TOP_STYLE_PLAIN, -1, A_NORMAL, A_NORMAL },
	{ TOP_STYLE_HEADER, -1, A_BOLD, A_BOLD },
	{ TOP_STYLE_WARNING, COLOR_YELLOW, A_BOLD, A_STANDOUT },
	{ TOP_STYLE_HEADINGS, -1, A_REVERSE, A_REVERSE },
	{ TOP_STYLE_SELECTED, COLOR_CYAN, A_REVERSE, A_STANDOUT },
	{ TOP_STYLE_HOT, COLOR_GREEN, A_BOLD, A_BOLD },
	{ TOP_STYLE_COLD, COLOR_BLUE, A_NORMAL, A_DIM },
	{ TOP_STYLE_KEYS, -1, A_DIM, A_NORMAL },
};

static void choose_colors(bool color)
{
	if (!color || !has_colors() || start_color() == ERR)
		return;
	(void)use_default_colors(); /* else the background is black */
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++)
		if (styles[i].color >= 0)
			(void)init_pair((short)(i + 1), styles[i].color, -1);
}

int top_terminal_open(bool color, struct error *e)
{
	int code = top_restore_prepare(e);

	if (code < 0)
		return code;
	if (!newterm(NULL, stdout, stdin)) {
		top_restore_forget();
		return error_set(e, -EINVAL, "the terminal cannot be used; use varve top --batch");
	}
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)keypad(stdscr, TRUE);
	(void)intrflush(stdscr, FALSE);
	(void)curs_set(0); /* not every terminal can hide it */
	(void)set_escdelay(50);
	choose_colors(color);
	return 0;
}

void top_terminal_close(void)
{
	(void)endwin();
	top_restore_forget();
}

/* ---- drawing ---- */

void top_terminal_size(size_t *ret_rows, size_t *ret_columns)
{
	*ret_rows = (size_t)getmaxy(stdscr);
	*ret_columns = (size_t)getmaxx(stdscr);
}

static attr_t attributes_of(enum top_style style)
{
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		if (styles[i].style != style)
			continue;
		if (COLOR_PAIRS == 0 || styles[i].color < 0 || !has_colors())
			return COLOR_PAIRS == 0 ? styles[i].without : styles[i].with_color;
		return styles[i].with_color | (attr_t)COLOR_PAIR((int)(i + 1));
	}
	return A_NORMAL;
}

void top_terminal_draw(const struct top_screen *screen)
{
	(void)erase();
	for (size_t i = 0; i < screen->count && i < (size_t)getmaxy(stdscr); i++) {
		(void)attrset((int)attributes_of(screen->lines[i].style));
		/* The last column of the last line cannot be written: this fails after writing. */
		(void)mvaddnstr((int)i, 0, screen->lines[i].text, -1);
	}
	(void)attrset(A_NORMAL);
	(void)refresh();
}

/* ---- keys ---- */

static int translate(int key)
{
	static const struct {
		int curses, key;
	} keys[] = {
		{ KEY_UP, TOP_KEY_UP },
		{ KEY_DOWN, TOP_KEY_DOWN },
		{ KEY_PPAGE, TOP_KEY_PAGE_UP },
		{ KEY_NPAGE, TOP_KEY_PAGE_DOWN },
		{ KEY_HOME, TOP_KEY_HOME },
		{ KEY_END, TOP_KEY_END },
		{ KEY_ENTER, TOP_KEY_ENTER },
		{ '\r', TOP_KEY_ENTER },
		{ '\n', TOP_KEY_ENTER },
		{ KEY_BACKSPACE, TOP_KEY_BACKSPACE },
		{ 0x7f, TOP_KEY_BACKSPACE },
		{ '\b', TOP_KEY_BACKSPACE },
		{ 0x1b, TOP_KEY_ESCAPE },
		{ KEY_BTAB, TOP_KEY_BACK_TAB },
		{ KEY_RESIZE, TOP_TERMINAL_RESIZED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].curses == key)
			return keys[i].key;
	return key < 0x100 ? key : TOP_TERMINAL_NO_KEY;
}

/* ncurses does not tell a terminal that is gone from one without keys. */
static bool is_gone(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR | POLLNVAL | POLLIN));
}

int top_terminal_key(int64_t timeout_ns)
{
	int key;

	timeout((int)(timeout_ns / (NS_PER_S / 1000)) + 1);
	key = getch();
	if (key != ERR)
		return translate(key);
	return is_gone() ? TOP_TERMINAL_GONE : TOP_TERMINAL_NO_KEY;
}
