/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be done now and then, without being asked. */
#pragma once

struct manager;

/* Moves what the kernel counted into the records, retries unmounts of what nobody holds, ends
 * expired leases. The daemon calls it every 10 seconds. */
void housekeeping_run(struct manager *m);
