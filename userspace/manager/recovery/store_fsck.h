/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what the manager knows with the database, the directories and the mount table, while
 * calls go on, and mends what differs. A record that another thread works on is passed over.
 */
#pragma once

#include "manager/state/manager_state.h"

struct store_finding {
	const char *kind; /* "missing-layer", "orphan-layer", "wrong-size", …: never changes */
	const char *what; /* the record's id, or a path in the store */
	char detail[400]; /* a sentence */
	bool repaired;
};

struct store_fsck_options {
	bool repair;
	const atomic_bool *cancelled; /* may be NULL */
	int (*found)(const struct store_finding *finding, void *user); /* < 0 ends it */
	void *user;
};

struct store_fsck_summary {
	uint64_t records; /* looked at */
	uint64_t found, repaired;
};

/* -ECANCELED; a finding that could not be repaired is not a failure. */
int store_fsck(struct manager *m, const struct store_fsck_options *o,
	       struct store_fsck_summary *ret_summary, struct error *e);
