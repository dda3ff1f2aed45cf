/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/reservation.h"

int reservation_find_checked(struct manager *m, const char *id,
			     int (*check)(const struct record *r, struct error *e),
			     struct reservation *ret_reservation, struct error *e)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);
	struct record *r;
	int code = manager_find(locked, id, &r, e);

	if (code < 0)
		return code;
	code = check(r, e);
	if (code < 0)
		return code;
	reservation_begin(locked, r, ret_reservation);
	return 0;
}

static int accept_any(const struct record *r, struct error *e)
{
	(void)r;
	(void)e;
	return 0;
}

int reservation_find(struct manager *m, const char *id, struct reservation *ret_reservation,
		     struct error *e)
{
	return reservation_find_checked(m, id, accept_any, ret_reservation, e);
}

void reservation_begin(struct manager *m, struct record *r, struct reservation *ret_reservation)
{
	manager_assert_locked(m);
	manager_reserve(r);
	*ret_reservation = (struct reservation){ .m = m, .record = r };
}

void reservation_end(struct reservation *reservation)
{
	if (!reservation->record)
		return;
	cleanup(manager_unlock) struct manager *locked = manager_lock(reservation->m);
	manager_unreserve(locked, reservation->record);
	reservation->record = NULL;
}
