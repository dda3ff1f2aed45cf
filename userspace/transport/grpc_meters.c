/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_meters.h"

#include <errno.h>
#include <stdlib.h>

int grpc_meters_make(const struct grpc_service *services, struct grpc_meters *ret_meters)
{
	size_t count = 0;

	for (const struct grpc_service *s = services; s->methods; s++)
		for (const struct grpc_method *method = s->methods; method->path; method++)
			count++;
	ret_meters->items = calloc(count + 1, sizeof(*ret_meters->items));
	if (!ret_meters->items)
		return -ENOMEM;
	for (const struct grpc_service *s = services; s->methods; s++)
		for (const struct grpc_method *method = s->methods; method->path; method++)
			ret_meters->items[ret_meters->count++].method = method;
	return 0;
}

void grpc_meters_free(struct grpc_meters *m)
{
	free(m->items);
	*m = (struct grpc_meters){ 0 };
}

static struct grpc_meter *find(struct grpc_meters *m, const struct grpc_method *method)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->items[i].method == method)
			return &m->items[i];
	return NULL;
}

void grpc_meters_begin(struct grpc_meters *m, const struct grpc_method *method)
{
	struct grpc_meter *meter = find(m, method);

	if (meter)
		atomic_fetch_add_explicit(&meter->started, 1, memory_order_relaxed);
}

void grpc_meters_end(struct grpc_meters *m, const struct grpc_method *method, int status,
		     int64_t duration_ns)
{
	struct grpc_meter *meter = find(m, method);

	if (!meter || status < 0 || status >= GRPC_METER_STATUSES)
		return;
	atomic_fetch_add_explicit(&meter->handled[status], 1, memory_order_relaxed);
	histogram_add(&meter->durations, duration_ns);
}
