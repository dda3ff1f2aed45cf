/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share. */
#pragma once

#include "manager/state/manager_state.h"
#include "prune/forecast.h"
#include "store/history_rows.h"

/* A layer that is there. */
struct past {
	char layer[LAYER_NAME_LENGTH + 1], below[LAYER_NAME_LENGTH + 1];
	/* See history_state_identity(). There is one of these for each layer: it is to be small. */
	uint8_t identity[32];
	bool has_identity;
	bool finished;
	bool dirty; /* see history_state_change() */
	struct forecast_past past; /* its parent is that of `below` */
	size_t above; /* pasts whose parent this is */
	int64_t cost_ms; /* 0: not known */
	int64_t worked_ns; /* work up to here is in the cost */
};

/* A layer that is gone. */
struct departed {
	char identity[DIGEST_TEXT_SIZE], by[HISTORY_BY_SIZE];
	struct forecast_past past;
	int64_t at_ns;
	int64_t cost_ms; /* 0: not known */
};

/* What a fold is to write. */
struct event {
	int64_t at_ns, since_ns, bytes;
	enum history_event event;
	char layer[LAYER_NAME_LENGTH + 1], below[LAYER_NAME_LENGTH + 1];
	char record[RECORD_ID_LENGTH + 1], by[HISTORY_BY_SIZE];
	char identity[DIGEST_TEXT_SIZE];
	int64_t cost_ms; /* 0: not known */
	bool returned; /* its departed row goes */
};

struct history {
	struct forecast forecast;
	struct hashmap *pasts; /* struct past by layer */
	struct hashmap *departed; /* struct departed by identity */
	struct event *events; /* that are not written yet */
	size_t event_count, event_capacity, events_saved; /* of them, those in the fold under way */
	/* Layers whose pasts have changed: a fold must not look at those of the whole store. */
	char (*changed)[LAYER_NAME_LENGTH + 1];
	size_t changed_count, changed_capacity, changed_saved; /* of them, in the fold under way */
	bool all_changed; /* there was no memory to note one */
	bool all_saved; /* the fold under way has looked at all of them */
	uint64_t events_dropped; /* since the last write that succeeded */
	int64_t folded_ns; /* the last fold */
	int64_t trimmed_ns, table_saved_ns;
	bool table_changed;
};

/* NULL: the layer has no past. With the lock, like all of these. */
struct past *history_state_find(const struct manager *m, const char *layer);
/* The past of the layer below; NULL: it has none. */
struct past *history_state_below(const struct past *p);
/* The digest that tells what the layer is made of; "": none yet. */
struct digest history_state_identity(const struct past *p);
/* A text that is not a digest is none. */
void history_state_set_identity(struct past *p, const char *identity);
/* Looks up what lies below, after `below` was set. */
void history_state_link(struct history *h, struct past *p);
/* The next fold writes it. */
void history_state_change(struct history *h, struct past *p);
/* Takes the past out of the table and frees it. */
void history_state_remove(struct history *h, struct past *p);
/* A past that is all 0, in the table; NULL: no memory. */
struct past *history_state_add(struct history *h, const char *layer);
/* NULL: no memory. */
struct departed *history_state_depart(struct history *h, const char *identity);

void history_state_free(struct history *h);
DEFINE_CLEANUP(struct history *, history_state_free)
