/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads a manifest or a blob for the agent, and resumes it after a lost connection. */
#pragma once

#include "fetch/registry_client.h"

/* -EPIPE: the agent is gone; other errors are reported to it. */
int registry_pull(struct registry_client *c, struct error *e);
