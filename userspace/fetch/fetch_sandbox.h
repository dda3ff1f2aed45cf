/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox that varve-fetch enters before it reads from the network: no privileges, no files but
 * its socket, and only the system calls that an HTTP client needs.
 */
#pragma once

#include "base/error.h"

/* The process must have one thread. As root it becomes FETCH_USER; other users stay the same. */
int fetch_sandbox_enter(struct error *e);
