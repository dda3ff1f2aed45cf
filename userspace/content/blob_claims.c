/* SPDX-License-Identifier: Apache-2.0 */
#include "content/blob_claims.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "base/clock.h"

#define WAIT_STEP_NS (NS_PER_S / 10) /* how often a waiter looks whether cancelled */

static int init_locks(struct blob_claims *c)
{
	pthread_condattr_t attributes;
	int code;

	(void)pthread_condattr_init(&attributes); /* cannot fail in glibc */
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	code = pthread_mutex_init(&c->lock, NULL);
	if (code == 0)
		code = pthread_cond_init(&c->released, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return -code;
}

int blob_claims_init(struct blob_claims *c)
{
	c->claims = hashmap_new();
	return c->claims ? init_locks(c) : -ENOMEM;
}

void blob_claims_destroy(struct blob_claims *c)
{
	hashmap_free(c->claims);
	pthread_cond_destroy(&c->released);
	pthread_mutex_destroy(&c->lock);
}

int blob_claims_try(struct blob_claims *c, struct blob_claim *claim)
{
	int code;

	pthread_mutex_lock(&c->lock);
	code = hashmap_insert(c->claims, claim->name, claim);
	pthread_mutex_unlock(&c->lock);
	return code == -EEXIST ? -EBUSY : code;
}

int blob_claims_take(struct blob_claims *c, struct blob_claim *claim, const atomic_bool *cancelled)
{
	struct timespec until;
	int code;

	pthread_mutex_lock(&c->lock);
	while ((code = hashmap_insert(c->claims, claim->name, claim)) == -EEXIST) {
		if (cancelled && atomic_load(cancelled)) {
			code = -ECANCELED;
			break;
		}
		(void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail */
		until.tv_nsec += WAIT_STEP_NS;
		if (until.tv_nsec >= NS_PER_S) {
			until.tv_sec++;
			until.tv_nsec -= NS_PER_S;
		}
		(void)pthread_cond_timedwait(&c->released, &c->lock, &until); /* looked at above */
	}
	pthread_mutex_unlock(&c->lock);
	return code;
}

void blob_claims_release(struct blob_claims *c, struct blob_claim *claim)
{
	pthread_mutex_lock(&c->lock);
	(void)hashmap_remove(c->claims, claim->name); /* it is the claim */
	pthread_cond_broadcast(&c->released);
	pthread_mutex_unlock(&c->lock);
}

uint64_t blob_claims_next_number(struct blob_claims *c)
{
	uint64_t number;

	pthread_mutex_lock(&c->lock);
	number = c->unnamed++;
	pthread_mutex_unlock(&c->lock);
	return number;
}
