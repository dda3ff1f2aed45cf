/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes events to the journal, with fields, so that `journalctl VARVE_RECORD=ID` tells the life of
 * a record. Only if standard error is the journal's ($JOURNAL_STREAM); a thread of its own.
 */
#pragma once

#include "base/error.h"
#include "manager/state/event_ring.h"

struct event_journal;

/* *ret_journal is NULL where the host has no journal. The ring must outlive *ret_journal. */
int event_journal_start(struct event_ring *ring, struct event_journal **ret_journal,
			struct error *e);
/* Writes the events that are left. The ring must have been closed. */
void event_journal_stop(struct event_journal *j);
