/* SPDX-License-Identifier: Apache-2.0 */
#include "web/metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "manager/manager.h"
#include "manager/numbers/numbers.h"
#include "web/exposition.h"
#include "web/metrics_agent.h"
#include "web/metrics_store.h"
#include "web/top_layers.h"

#define KEPT_NS NS_PER_S

/* One for each format. */
struct answer {
	struct strbuf text;
	int64_t made_ns; /* by the monotonic clock; 0: there is none */
};

struct metrics {
	struct manager *m;
	const struct grpc_meters *calls;
	struct top_layers top;
	struct answer answers[2];
};

struct metrics *metrics_new(struct manager *m, const struct grpc_meters *calls)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics) {
		metrics->m = m;
		metrics->calls = calls;
	}
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	for (size_t i = 0; i < ARRAY_SIZE(metrics->answers); i++)
		strbuf_free(&metrics->answers[i].text);
	free(metrics);
}

/* The most important families come first: the limit cuts off the last ones. */
static int write_all(struct metrics *metrics, struct exposition *x, struct error *e)
{
	cleanup(free_ptr) struct numbers *n = malloc(sizeof(*n));
	cleanup(manager_info_free) struct manager_info info = { 0 };
	int code;

	if (!n)
		return error_set(e, -ENOMEM, "out of memory");
	code = numbers_take(metrics->m, n, e);
	if (code == 0)
		code = manager_info(metrics->m, &info, e);
	if (code < 0)
		return code;
	top_layers_update(&metrics->top, n,
			  atomic_load(&numbers_meters(metrics->m)->accessed[USAGE_READ_BYTES]));
	metrics_agent_write_info(x, &info);
	metrics_store_write(x, metrics->m, n, info.backend != USAGE_BACKEND_NONE);
	metrics_agent_write_process(x);
	metrics_agent_write_accounting(x, metrics->m, n);
	metrics_agent_write_work(x, numbers_meters(metrics->m));
	metrics_store_write_layers(x, &metrics->top, n);
	metrics_agent_write_calls(x, metrics->calls);
	exposition_end(x);
	return strbuf_failed(&x->text) ? error_set(e, -ENOMEM, "out of memory") : 0;
}

static int make_answer(struct metrics *metrics, bool open_metrics, struct answer *answer,
		       struct error *e)
{
	struct exposition x = { .text = answer->text,
				.open_metrics = open_metrics,
				.limit = METRICS_SERIES_MAX };
	int code;

	strbuf_reset(&x.text);
	code = write_all(metrics, &x, e);
	answer->text = x.text;
	answer->made_ns = code < 0 ? 0 : clock_monotonic_ns();
	return code;
}

int metrics_render(struct metrics *metrics, bool open_metrics, const char **ret_text,
		   size_t *ret_length, struct error *e)
{
	struct answer *answer = &metrics->answers[open_metrics];
	int code = 0;

	if (!answer->made_ns || clock_monotonic_ns() - answer->made_ns > KEPT_NS)
		code = make_answer(metrics, open_metrics, answer, e);
	if (code < 0)
		return code;
	*ret_text = answer->text.text;
	*ret_length = answer->text.length;
	return 0;
}
