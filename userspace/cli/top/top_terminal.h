/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of a live view, by ncurses. Whatever ends the program restores the terminal: the end
 * of the view, an error, a signal. One at a time.
 */
#pragma once

#include "base/error.h"
#include "cli/top/top_screen.h"

/* Not from enum top_key. */
#define TOP_TERMINAL_NO_KEY 0
#define TOP_TERMINAL_RESIZED 0x20000
#define TOP_TERMINAL_GONE 0x20001

/* -EINVAL: the terminal is not known, or cannot move its cursor. */
int top_terminal_open(bool color, struct error *e);
void top_terminal_close(void);
void top_terminal_size(size_t *ret_rows, size_t *ret_columns);
void top_terminal_draw(const struct top_screen *screen);
/* Waits at most so long for a key. */
int top_terminal_key(int64_t timeout_ns);
