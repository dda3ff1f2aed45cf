/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to varve-fetch before the first byte of the network is read: no privileges, no files
 * but its socket, and the system calls that a client of HTTP needs.
 */
#pragma once

#include "base/error.h"

/* For a process of one thread. As root it becomes FETCH_USER; anybody else stays who he is. */
int fetch_sandbox_enter(struct error *e);
