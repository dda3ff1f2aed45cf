/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what the manager knows with the database, the directories and the mount table, while
 * calls go on, and mends what differs. A record that another thread works on is passed over.
 */
#pragma once

#include "manager/recovery/fsck_report.h"

/* -ECANCELED; a finding that could not be repaired is not a failure. */
int store_fsck(struct manager *m, const struct store_fsck_options *o,
	       struct store_fsck_summary *ret_summary, struct error *e);
