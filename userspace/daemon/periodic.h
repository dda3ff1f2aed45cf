/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent does every CONFIG_TICK_SECONDS: housekeeping, and the policies that are due. The
 * workers do it; work of one kind that still runs is not started again.
 */
#pragma once

#include <stdatomic.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "daemon/config.h"
#include "daemon/store_opener.h"
#include "daemon/worker_pool.h"
#include "manager/manager.h"
#include "owners/owners.h"

struct periodic {
	/* Set by the caller; they outlive the workers. */
	const struct config *config;
	struct manager *manager;
	struct owners *owners;
	struct worker_pool *workers;
	const struct store_opener *opener; /* nothing is done before the store is open */

	sd_event_source *timer;
	atomic_bool keeping_house;
	atomic_bool evicting;
	atomic_bool asking_owners;
	atomic_bool ending;
};

/* The first time after CONFIG_TICK_SECONDS. */
int periodic_start(struct periodic *p, sd_event *loop, struct error *e);
/* A run of policies ends before its next record. */
void periodic_hurry(struct periodic *p);
/* Starts nothing any more; what runs ends with the workers. */
void periodic_stop(struct periodic *p);
