/* SPDX-License-Identifier: Apache-2.0 */
/* A state as `varve simulate --state` reads it, and plans on it. */
#include "prune/prune_score.h"
#include "simulate/saved_state.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const scorers[] = { "buildkit", "access", "lru", "gdsf", "forecast" };
	cleanup(saved_state_free) struct saved_state *state = NULL;
	char path[FUZZ_PATH_SIZE];
	cleanup(close_fd) int fd = fuzz_file(data, size);
	struct error e = { 0 };

	if (saved_state_read(fuzz_path(fd, path), &state, &e) < 0) {
		assert(!state && e.text[0]);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(scorers); i++) {
		struct saved_state_options options = { .scorer = scorers[i],
						       .keep_bytes = i % 2 ? 1000 : 0,
						       .keep_duration_ns = (int64_t)(i / 2) };
		struct saved_state_step *steps = NULL;
		size_t count = 0;
		int64_t remaining;

		if (saved_state_plan(state, &options, &steps, &count, &remaining, &e) < 0)
			assert(e.text[0]);
		free(steps);
	}
	return 0;
}
