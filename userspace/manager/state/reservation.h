/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record that one thread works on without the lock, and its twin with it: other threads find it
 * busy and wait. The reservation ends with its scope:
 *
 *	cleanup(reservation_end) struct reservation reserved = { 0 };
 *	int code = reservation_find(m, id, &reserved, e);
 */
#pragma once

#include "manager/state/manager_state.h"

struct reservation {
	struct manager *m;
	struct record *record; /* NULL: none */
};

/* Reserves the record of this id (or unique prefix), once no other thread works on it. -ENOENT.
 * Without the lock. */
int reservation_find(struct manager *m, const char *id, struct reservation *ret_reservation,
		     struct error *e);
/* Like reservation_find(), if check() returns 0 for the record; it is called with the lock. Else
 * returns its code, with nothing reserved. */
int reservation_find_checked(struct manager *m, const char *id,
			     int (*check)(const struct record *r, struct error *e),
			     struct reservation *ret_reservation, struct error *e);
/* Reserves a record that manager_find() has found since the lock was taken. With the lock. */
void reservation_begin(struct manager *m, struct record *r, struct reservation *ret_reservation);
/* Gives the record back, if there is one. Without the lock. */
void reservation_end(struct reservation *reservation);
DEFINE_CLEANUP_VALUE(struct reservation, reservation_end)

/* The record has left the graph: there is nothing to give back. */
static inline void reservation_forget(struct reservation *reservation)
{
	reservation->record = NULL;
}
