/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the store: records, bytes, limits, what was read, and the layers that are read most.
 */
#pragma once

#include "manager/numbers/numbers.h"
#include "web/exposition.h"
#include "web/top_layers.h"

/* `counted`: accesses are; without that, nothing is called cold. */
void metrics_store_write(struct exposition *x, struct manager *m, const struct numbers *n,
			 bool counted);
void metrics_store_write_layers(struct exposition *x, const struct top_layers *top,
				const struct numbers *n);
