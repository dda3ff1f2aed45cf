/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include "base/clock.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)

static const int64_t bounds[HISTOGRAM_BOUNDS] = {
	10 * US,  30 * US,	100 * US,      300 * US,      1 * MS,
	3 * MS,	  10 * MS,	30 * MS,       100 * MS,      300 * MS,
	NS_PER_S, 3 * NS_PER_S, 10 * NS_PER_S, 30 * NS_PER_S, 100 * NS_PER_S,
};

int64_t histogram_bound_ns(size_t index)
{
	return bounds[index];
}

void histogram_add(struct histogram *h, int64_t duration_ns)
{
	int64_t ns = duration_ns > 0 ? duration_ns : 0;
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && ns > bounds[i])
		i++;
	atomic_fetch_add_explicit(&h->counts[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, (uint64_t)ns, memory_order_relaxed);
}

void histogram_read(const struct histogram *h, struct histogram_copy *ret_copy)
{
	*ret_copy = (struct histogram_copy){ 0 };
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		ret_copy->counts[i] = atomic_load_explicit(&h->counts[i], memory_order_relaxed);
		ret_copy->count += ret_copy->counts[i];
	}
	ret_copy->sum_s = (double)atomic_load_explicit(&h->sum_ns, memory_order_relaxed) / NS_PER_S;
}
