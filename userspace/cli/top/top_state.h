/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a live view knows: what its user has chosen, and what the agent said last. Keys change it,
 * and say what is to be asked for. Knows neither the terminal nor the connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "cli/cli_call.h"
#include "varve.pb-c.h"

enum top_view {
	TOP_RECORDS,
	TOP_LAYERS,
	TOP_FILES,
	TOP_WHO,
	TOP_OWNERS,
	TOP_EVICTION,
	TOP_VIEW_COUNT,
};

enum top_mode {
	TOP_LIST,
	TOP_PAGE, /* a text covers the list: details, an explanation, a plan, the help */
	TOP_ASK_FILTER, /* a line of input */
	TOP_ASK_PLAN,
};

/* What a key asks the caller to do. */
enum top_command {
	TOP_NOTHING,
	TOP_REDRAW,
	TOP_REFRESH, /* ask the agent again, and order anew */
	TOP_DETAIL,
	TOP_EXPLAIN,
	TOP_PIN,
	TOP_PLAN, /* with `input` */
	TOP_HELP,
	TOP_QUIT,
};

/* Keys that are not characters. */
enum top_key {
	TOP_KEY_UP = 0x10000,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ENTER,
	TOP_KEY_BACKSPACE,
	TOP_KEY_ESCAPE,
	TOP_KEY_BACK_TAB,
};

#define TOP_SORTS 7
#define TOP_EVENTS 100 /* that are kept */
#define TOP_ID_SIZE 26
#define TOP_INPUT_SIZE 256

extern const char *const top_state_sorts[TOP_SORTS]; /* as the agent calls them */
extern const char *const top_state_views[TOP_VIEW_COUNT];

struct top_state {
	enum top_view view;
	enum top_mode mode;
	size_t sort; /* of records and layers */
	bool reverse, paused;
	char filter[TOP_INPUT_SIZE];
	char input[TOP_INPUT_SIZE]; /* while asked, and for TOP_PLAN */
	size_t first, selected; /* rows of the list: the first one shown, the one with the cursor */
	size_t page_rows; /* how many rows of a list the screen shows */
	char selected_id[TOP_ID_SIZE]; /* in records and layers; "" none */
	struct strbuf page; /* lines */
	size_t page_first;
	char notice[256]; /* instead of the list of keys, until the next key */

	/* What the agent said; NULL: nothing yet. */
	Varve__V1__LiveReply *live;
	Varve__V1__LiveSums *sums; /* borrowed from sums_reply */
	Varve__V1__LiveReply *sums_reply;
	double program_share; /* of one processor; negative: not known */
	Varve__V1__PolicyReply *policies;
	Varve__V1__RegretReply *regrets;
	Varve__V1__ReadersReply *readers;
	Varve__V1__OwnersReply *owners;
	struct cli_replies files;
	char files_id[TOP_ID_SIZE];
	int64_t files_ns;
	struct cli_replies events; /* batches with what the eviction view shows */
	int64_t away_ns; /* since when the agent cannot be reached; 0: it can */
	char away_why[256];
};

void top_state_free(struct top_state *s);
DEFINE_CLEANUP_VALUE(struct top_state, top_state_free)
enum top_command top_state_key(struct top_state *s, int key);
/* Takes a new reply, and keeps the cursor on its record. */
void top_state_take_live(struct top_state *s, Varve__V1__LiveReply *live);
/* How many rows the list of the present view has. */
size_t top_state_rows(const struct top_state *s);
/* Shows a text, which it takes. */
void top_state_show_page(struct top_state *s, struct strbuf *text);
size_t top_state_page_lines(const struct top_state *s);
void top_state_help(struct strbuf *out);
