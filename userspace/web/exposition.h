/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes metrics as text, in Prometheus' classic format (0.0.4) or in OpenMetrics 1.0. It never
 * writes more series than its limit: what is left out is counted, and says so in a metric.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/histogram.h"
#include "base/strbuf.h"

enum exposition_type { EXPOSITION_GAUGE, EXPOSITION_COUNTER, EXPOSITION_HISTOGRAM };

struct exposition {
	struct strbuf text;
	bool open_metrics;
	size_t limit, series, left_out;
	/* Of the present family. */
	const char *name; /* of a counter with "_total" */
	enum exposition_type type;
};

struct exposition_label {
	const char *name, *value;
};

/* Labels for a call, with their number: LABELS({ "type", type }, { "reason", reason }). */
#define LABELS(...)                                       \
	(const struct exposition_label[]){ __VA_ARGS__ }, \
		ARRAY_SIZE(((const struct exposition_label[]){ __VA_ARGS__ }))
#define NO_LABELS NULL, 0

/* Starts a family, which the calls below add to. Its texts are borrowed until the next family. */
void exposition_begin(struct exposition *x, enum exposition_type type, const char *name,
		      const char *help);
void exposition_add(struct exposition *x, double value, const struct exposition_label *labels,
		    size_t label_count);
/* The buckets from one bound to another, in seconds; what is outside of them is in the nearest. */
void exposition_add_histogram(struct exposition *x, const struct histogram *h, double from_s,
			      double to_s, const struct exposition_label *labels,
			      size_t label_count);
/* A family of one series without labels. */
void exposition_gauge(struct exposition *x, const char *name, const char *help, double value);
void exposition_counter(struct exposition *x, const char *name, const char *help, double value);
/* The metrics about the metrics, and the end mark of OpenMetrics. */
void exposition_end(struct exposition *x);
