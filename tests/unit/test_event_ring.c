/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/event_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add(struct event_ring *ring, size_t count)
{
	for (size_t i = 0; i < count; i++)
		event_ring_add(ring, &(struct ring_event){ .kind = EVENT_CREATED });
}

static void readers_get_each_event_once_and_in_order(void **state)
{
	cleanup(event_ring_free) struct event_ring *ring = event_ring_new();
	struct ring_event events[4];
	uint64_t missed;

	(void)state;
	assert_int_equal(event_ring_last(ring), 0);
	assert_int_equal(event_ring_read(ring, 0, events, 4, &missed), 0);
	add(ring, 6);
	assert_int_equal(event_ring_read(ring, 0, events, 4, &missed), 4);
	assert_int_equal(missed, 0);
	assert_int_equal(events[0].seq, 1);
	assert_int_equal(events[3].seq, 4);
	assert_int_equal(event_ring_read(ring, 4, events, 4, &missed), 2);
	assert_int_equal(events[1].seq, event_ring_last(ring));
	assert_int_equal(event_ring_read(ring, 6, events, 4, &missed), 0);
	/* A number that the ring has not reached, as of another agent. */
	assert_int_equal(event_ring_read(ring, 1000, events, 4, &missed), 0);
	assert_int_equal(missed, 0);
}

static void a_slow_reader_learns_how_many_events_it_has_missed(void **state)
{
	cleanup(event_ring_free) struct event_ring *ring = event_ring_new();
	struct ring_event events[4];
	uint64_t missed;

	(void)state;
	add(ring, EVENT_RING_SIZE);
	assert_int_equal(event_ring_read(ring, 0, events, 1, &missed), 1);
	assert_int_equal(missed, 0);
	assert_int_equal(events[0].seq, 1);
	add(ring, 10);
	assert_int_equal(event_ring_read(ring, 3, events, 1, &missed), 1);
	assert_int_equal(missed, 7);
	assert_int_equal(events[0].seq, 11);
}

static void a_closed_ring_lets_no_reader_wait(void **state)
{
	cleanup(event_ring_free) struct event_ring *ring = event_ring_new();

	(void)state;
	add(ring, 1);
	assert_true(event_ring_wait(ring, 0));
	event_ring_close(ring);
	assert_false(event_ring_wait(ring, 1));
	add(ring, 1); /* the agent's last work */
	assert_int_equal(event_ring_last(ring), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_get_each_event_once_and_in_order),
		cmocka_unit_test(a_slow_reader_learns_how_many_events_it_has_missed),
		cmocka_unit_test(a_closed_ring_lets_no_reader_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
