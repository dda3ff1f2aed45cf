/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as `varve simulate --trace` reads it, replayed under two limits. */
#include "simulate/trace_file.h"
#include "simulate/trace_replay.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t limits[] = { 1000, INT64_C(1) << 40 };
	cleanup(trace_free) struct trace trace = { 0 };
	char path[FUZZ_PATH_SIZE];
	cleanup(close_fd) int fd = fuzz_file(data, size);
	struct error e = { 0 };

	if (trace_read(fuzz_path(fd, path), &trace, &e) < 0) {
		assert(e.text[0]);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct trace_replay r, best;

		assert(trace_replay(&trace, limits[i], prune_scorer_find(""), &r, &e) == 0);
		assert(trace_replay(&trace, limits[i], &prune_scorer_forecast, &r, &e) == 0);
		assert(trace_replay_clairvoyant(&trace, limits[i], &best, &e) == 0);
		assert(r.hits <= r.uses && best.hits <= best.uses && r.uses == best.uses);
	}
	return 0;
}
