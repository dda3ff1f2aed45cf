/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets the kernel measure the time that BPF programs take, while clients look at it. The kernel
 * then measures all programs of the host, which costs a little each time one runs; hence it ends
 * with the client's connection, and when the client has not asked again for some time. Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct manager;
struct program_meter;

struct program_meter *program_meter_new(void); /* NULL: out of memory */
void program_meter_free(struct program_meter *p);

/* Measures for so long, for this connection. False: the kernel does not. */
bool program_meter_keep_on(struct manager *m, uint64_t connection, int64_t for_ns);
/* Cheap for a connection that never asked. */
void program_meter_connection_closed(struct manager *m, uint64_t connection);
/* Forgets the clients whose time is over. */
void program_meter_expire(struct manager *m);
