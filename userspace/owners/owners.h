/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All owners of the configuration: what they have, and prunes through them. An owner that hangs,
 * lies or is gone costs its own eviction and nothing else: each is asked by one thread at a time,
 * with limits on time and size, and without any lock. Every function may be called from any thread.
 */
#pragma once

#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "manager/eviction/eviction_run.h"
#include "owners/owner_names.h"
#include "owners/owner_prune.h"
#include "owners/owner_settings.h"

struct owners;

struct owners_options {
	const struct owners_settings *settings; /* borrowed, as is all that follows */
	const char *containerd; /* the socket for owners that name none */
	struct manager *manager;
	/* Owners that cannot be reached, once, and what a prune came upon; a line each. */
	void (*report)(bool problem, const char *text, void *user);
	void *user;
};

int owners_new(const struct owners_options *options, struct owners **ret_owners, struct error *e);
void owners_free(struct owners *all);
DEFINE_CLEANUP(struct owners *, owners_free)

/* An owner as it answered last. */
struct owner_state {
	const struct owner_settings *settings; /* lives as long as the owners */
	bool reachable;
	bool asking; /* another call asks it now: the rest is what was known before */
	char problem[300]; /* "": none */
	char version[64];
	size_t records;
	int64_t layer_bytes; /* of their layers in the store */
	size_t evictable; /* records that it would be asked to remove */
	int64_t evictable_bytes;
	int64_t asked_ns; /* 0: never */
};

/* Asks all owners, at the same time; that one fails is in its state. The caller frees *ret_states
 * with free(3). */
int owners_list(struct owners *all, const atomic_bool *cancelled, struct owner_state **ret_states,
		size_t *ret_count, struct error *e);

/* Asks the owners that were not asked in the last seconds, so that their names are of now; those
 * that did not answer then, not for a minute. */
int owners_refresh(struct owners *all, const atomic_bool *cancelled, struct error *e);
/* Visits the names that owners have for a record, as they answered last; no owner is asked. A lock
 * is held, so the visit must not take long; a negative return ends it, and is returned. */
int owners_visit_names(struct owners *all, const char *record,
		       int (*visit)(const struct owner_name *name, void *user), void *user);

/* A line of the report. */
void owners_report(struct owners *all, bool problem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether the plan is one of an owner. */
bool owners_have_plan(struct owners *all, const char *plan);

/* As eviction_run(), for the records of one owner, or for a plan over them. -ENOENT: no such owner
 * or plan; -EPERM: its configuration does not let it be asked; -EBUSY: it is being pruned, or the
 * plan is stale; and what owner_answer_get() fails with. */
int owners_prune(struct owners *all, const char *owner, const struct eviction_options *options,
		 int (*stepped)(const struct owner_outcome *outcome, void *user), void *user,
		 struct eviction_summary *ret_summary, struct error *e);
