/* SPDX-License-Identifier: Apache-2.0 */
/* Work that the agent does every few seconds, without a request. */
#pragma once

struct manager;

/* Moves what the kernel counted into the records, retries unmounts of records without refs, ends
 * expired leases. The daemon calls it every 10 seconds. */
void housekeeping_run(struct manager *m);
