/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the agent: its version, its process, its accounting, its work and its calls. */
#pragma once

#include "manager/manager.h"
#include "manager/numbers/numbers.h"
#include "transport/grpc_meters.h"
#include "web/exposition.h"

void metrics_agent_write_info(struct exposition *x, const struct manager_info *info);
void metrics_agent_write_process(struct exposition *x);
void metrics_agent_write_accounting(struct exposition *x, struct manager *m,
				    const struct numbers *n);
/* Mounts, prunes, fetches and locks. */
void metrics_agent_write_work(struct exposition *x, const struct manager_meters *meters);
/* Methods that were called. */
void metrics_agent_write_calls(struct exposition *x, const struct grpc_meters *calls);
