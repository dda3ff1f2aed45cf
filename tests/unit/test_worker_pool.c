/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/worker_pool.h"

#define MAX_JOBS 3
#define MANY 200

struct pool_state {
	struct worker_pool *pool;
	atomic_int turns, running, most_running, done;
	atomic_bool go;
	pthread_t first_leader, ran_on;
	bool ran_while_another_led;
};

static void wait_for(const atomic_int *value, int at_least)
{
	for (int i = 0; i < 30000 && atomic_load(value) < at_least; i++)
		usleep(1000);
	assert_true(atomic_load(value) >= at_least);
}

static void set_up(struct pool_state *s)
{
	struct error e = { 0 };

	*s = (struct pool_state){ .pool = NULL };
	assert_int_equal(worker_pool_new(MAX_JOBS, 2 * MANY, &s->pool, &e), 0);
}

static void note_thread(void *arg)
{
	struct pool_state *s = arg;

	s->ran_on = pthread_self();
	wait_for(&s->turns, 2); /* else this thread is the only one */
	s->ran_while_another_led = true;
	atomic_fetch_add(&s->done, 1);
}

static bool lead_to_one_job(void *arg)
{
	struct pool_state *s = arg;

	if (atomic_fetch_add(&s->turns, 1) == 0) {
		s->first_leader = pthread_self();
		assert_int_equal(worker_pool_submit(s->pool, note_thread, s), 0);
		return true;
	}
	wait_for(&s->done, 1);
	return false;
}

static void test_a_job_runs_on_the_thread_that_led_to_it(void **state)
{
	struct pool_state s;

	(void)state;
	set_up(&s);
	assert_int_equal(worker_pool_lead(s.pool, lead_to_one_job, &s), 0);
	worker_pool_free(s.pool);
	assert_true(pthread_equal(s.ran_on, s.first_leader));
	assert_true(s.ran_while_another_led);
}

static void wait_to_go(void *arg)
{
	struct pool_state *s = arg;
	int running = atomic_fetch_add(&s->running, 1) + 1;
	int most = atomic_load(&s->most_running);

	while (running > most && !atomic_compare_exchange_weak(&s->most_running, &most, running))
		;
	while (!atomic_load(&s->go))
		usleep(1000);
	atomic_fetch_sub(&s->running, 1);
	atomic_fetch_add(&s->done, 1);
}

/* More jobs than may run: once all that may do, there is still a leader, which lets them go. */
static bool lead_to_many_jobs(void *arg)
{
	struct pool_state *s = arg;

	if (atomic_fetch_add(&s->turns, 1) == 0) {
		for (int i = 0; i < MANY; i++)
			assert_int_equal(worker_pool_submit(s->pool, wait_to_go, s), 0);
		return true;
	}
	if (worker_pool_has_jobs(s->pool))
		return true;
	wait_for(&s->running, MAX_JOBS);
	atomic_store(&s->go, true);
	wait_for(&s->done, MANY);
	return false;
}

static void test_one_thread_leads_however_many_jobs_wait(void **state)
{
	struct pool_state s;

	(void)state;
	set_up(&s);
	assert_int_equal(worker_pool_lead(s.pool, lead_to_many_jobs, &s), 0);
	worker_pool_free(s.pool);
	assert_int_equal(atomic_load(&s.done), MANY);
	assert_int_equal(atomic_load(&s.most_running), MAX_JOBS);
}

static void test_jobs_of_other_threads_run_without_a_leader(void **state)
{
	struct pool_state s;

	(void)state;
	set_up(&s);
	atomic_store(&s.go, true);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(worker_pool_submit(s.pool, wait_to_go, &s), 0);
	worker_pool_free(s.pool);
	assert_int_equal(atomic_load(&s.done), MANY);
}

static bool lead_by_waiting_for_jobs(void *arg)
{
	struct pool_state *s = arg;

	atomic_fetch_add(&s->turns, 1);
	wait_for(&s->done, MANY);
	return false;
}

static void *submit_many(void *arg)
{
	struct pool_state *s = arg;

	wait_for(&s->turns, 1);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(worker_pool_submit(s->pool, wait_to_go, s), 0);
	return NULL;
}

static void test_jobs_of_other_threads_run_while_the_leader_waits(void **state)
{
	struct pool_state s;
	pthread_t other;

	(void)state;
	set_up(&s);
	atomic_store(&s.go, true);
	assert_int_equal(pthread_create(&other, NULL, submit_many, &s), 0);
	assert_int_equal(worker_pool_lead(s.pool, lead_by_waiting_for_jobs, &s), 0);
	pthread_join(other, NULL);
	worker_pool_free(s.pool);
	assert_int_equal(atomic_load(&s.done), MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_job_runs_on_the_thread_that_led_to_it),
		cmocka_unit_test(test_one_thread_leads_however_many_jobs_wait),
		cmocka_unit_test(test_jobs_of_other_threads_run_without_a_leader),
		cmocka_unit_test(test_jobs_of_other_threads_run_while_the_leader_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
