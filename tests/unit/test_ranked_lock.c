/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ranked_lock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { FIRST, SECOND };

static struct ranked_lock first, second;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static int set_up(void **state)
{
	(void)state;
	ranked_lock_init(&first, FIRST);
	ranked_lock_init(&second, SECOND);
	return 0;
}

/* Runs the function in a child process; returns whether it ended that by abort(3). */
static bool aborts(void (*function)(void))
{
	const struct rlimit no_core = { 0 };
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGABRT, SIG_DFL); /* not cmocka's */
		(void)close(STDERR_FILENO);
		function();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void take_in_order(void)
{
	ranked_lock_acquire(&first);
	ranked_lock_acquire(&second);
	ranked_lock_release(&first);
	ranked_lock_release(&second);
}

static void take_against_order(void)
{
	ranked_lock_acquire(&second);
	ranked_lock_acquire(&first);
}

static void take_twice(void)
{
	ranked_lock_acquire(&first);
	ranked_lock_acquire(&first);
}

static void release_what_is_free(void)
{
	ranked_lock_release(&first);
}

static void wait_with_a_later_lock(void)
{
	ranked_lock_acquire(&first);
	ranked_lock_acquire(&second);
	(void)ranked_lock_wait_until(&first, &condition, clock_monotonic_ns());
}

static void taking_locks_against_the_order_of_ranks_aborts(void **state)
{
	(void)state;
	assert_false(aborts(take_in_order));
	assert_true(aborts(take_against_order));
	assert_true(aborts(take_twice));
	assert_true(aborts(release_what_is_free));
	assert_true(aborts(wait_with_a_later_lock));
}

static void *is_held_here(void *result)
{
	*(bool *)result = ranked_lock_is_held(&first);
	return NULL;
}

static void a_lock_is_held_by_the_thread_that_took_it(void **state)
{
	bool elsewhere = true;
	pthread_t thread;

	(void)state;
	assert_false(ranked_lock_is_held(&first));
	ranked_lock_acquire(&first);
	assert_true(ranked_lock_is_held(&first));
	assert_int_equal(pthread_create(&thread, NULL, is_held_here, &elsewhere), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(elsewhere);
	ranked_lock_release(&first);
	assert_false(ranked_lock_is_held(&first));
}

static void a_timed_wait_returns_with_the_lock_held(void **state)
{
	(void)state;
	ranked_lock_acquire(&first);
	assert_int_equal(ranked_lock_wait_until(&first, &condition, clock_monotonic_ns()),
			 -ETIMEDOUT);
	assert_true(ranked_lock_is_held(&first));
	ranked_lock_release(&first);
}

static int leave_early(int code)
{
	cleanup(ranked_lock_release) struct ranked_lock *held = ranked_lock_acquire(&first);

	return held && code < 0 ? code : 0;
}

static void the_end_of_a_scope_releases_the_lock(void **state)
{
	(void)state;
	assert_int_equal(leave_early(-EIO), -EIO);
	assert_false(ranked_lock_is_held(&first));
	assert_int_equal(leave_early(0), 0);
	assert_false(ranked_lock_is_held(&first));
}

static void *take_once(void *had_it)
{
	ranked_lock_acquire(&first);
	*(bool *)had_it = true;
	ranked_lock_release(&first);
	return NULL;
}

static void a_yield_lets_a_waiting_thread_have_the_lock(void **state)
{
	bool had_it = false;
	pthread_t thread;

	(void)state;
	ranked_lock_acquire(&first);
	assert_int_equal(pthread_create(&thread, NULL, take_once, &had_it), 0);
	while (atomic_load(&first.waiting) == 0)
		sched_yield();
	ranked_lock_yield(&first);
	assert_true(had_it);
	assert_true(ranked_lock_is_held(&first));
	ranked_lock_yield(&first); /* to no one: it returns at once */
	ranked_lock_release(&first);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_measured_lock_counts_each_time_that_it_was_held(void **state)
{
	static struct lock_meter meter;
	struct ranked_lock lock;
	struct histogram_copy held, waited;

	(void)state;
	ranked_lock_init(&lock, FIRST);
	ranked_lock_measure(&lock, &meter);
	ranked_lock_acquire(&lock);
	/* Waiting gives the lock back, and takes it again. */
	(void)ranked_lock_wait_until(&lock, &condition, clock_monotonic_ns());
	ranked_lock_release(&lock);
	ranked_lock_destroy(&lock);
	histogram_read(&meter.hold, &held);
	histogram_read(&meter.wait, &waited);
	assert_int_equal(held.count, 2);
	assert_int_equal(waited.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taking_locks_against_the_order_of_ranks_aborts),
		cmocka_unit_test(a_lock_is_held_by_the_thread_that_took_it),
		cmocka_unit_test(a_timed_wait_returns_with_the_lock_held),
		cmocka_unit_test(a_yield_lets_a_waiting_thread_have_the_lock),
		cmocka_unit_test(the_end_of_a_scope_releases_the_lock),
		cmocka_unit_test(a_measured_lock_counts_each_time_that_it_was_held),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
