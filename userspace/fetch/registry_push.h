/* SPDX-License-Identifier: Apache-2.0 */
/* Brings a file of the agent's to the registry: as a blob, where it is not there, or as a manifest.
 */
#pragma once

#include "fetch/registry_client.h"

/* The file is borrowed. -EPIPE: the agent is gone; any other error is for it. */
int registry_push(struct registry_client *c, int file, struct error *e);
