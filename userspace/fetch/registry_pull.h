/* SPDX-License-Identifier: Apache-2.0 */
/* Brings what the request names to the agent, and goes on where a connection broke off. */
#pragma once

#include "fetch/registry_client.h"

/* -EPIPE: the agent is gone; any other error is for it. */
int registry_pull(struct registry_client *c, struct error *e);
