/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_squares.h"

#include <stdbool.h>

/* The worst ratio of the sides of parts that together take a strip along `side`. */
static double worst_ratio(double largest, double smallest, double sum, double side)
{
	double strip = sum / side; /* its thickness */
	double a = largest / strip / strip, b = strip * strip / smallest;

	return a > b ? a : b;
}

/* How many of the parts, from the first, make the best strip; *ret_sum is their area. */
static size_t take_strip(const double *weights, size_t count, double scale, double side,
			 double *ret_sum)
{
	double sum = weights[0] * scale, ratio = worst_ratio(sum, sum, sum, side);
	size_t taken = 1;

	for (; taken < count; taken++) {
		double more = sum + weights[taken] * scale;
		double next = worst_ratio(weights[0] * scale, weights[taken] * scale, more, side);

		if (next > ratio)
			break;
		ratio = next;
		sum = more;
	}
	*ret_sum = sum;
	return taken;
}

/* Takes a strip off the rest, along its shorter side. */
static void lay_strip(struct heat_box *rest, const double *weights, size_t count, double scale,
		      double sum, struct heat_box *boxes)
{
	bool upright = rest->width >= rest->height;
	double side = upright ? rest->height : rest->width, strip = sum / side, at = 0;

	for (size_t i = 0; i < count; i++) {
		double length = weights[i] * scale / strip;

		if (upright)
			boxes[i] = (struct heat_box){ rest->x, rest->y + at, strip, length };
		else
			boxes[i] = (struct heat_box){ rest->x + at, rest->y, length, strip };
		at += length;
	}
	if (upright) {
		rest->x += strip;
		rest->width -= strip;
	} else {
		rest->y += strip;
		rest->height -= strip;
	}
}

void heat_squares(const struct heat_box *whole, const double *weights, size_t count,
		  struct heat_box *ret_boxes)
{
	struct heat_box rest = *whole;
	double total = 0, scale;
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		total += weights[i];
		ret_boxes[i] = (struct heat_box){ whole->x, whole->y, 0, 0 };
	}
	scale = total > 0 ? whole->width * whole->height / total : 0;
	/* Rounding may leave less than nothing for the last ones. */
	while (at < count && scale > 0 && rest.width > 0 && rest.height > 0) {
		double side = rest.width < rest.height ? rest.width : rest.height, sum;
		size_t taken = take_strip(weights + at, count - at, scale, side, &sum);

		lay_strip(&rest, weights + at, taken, scale, sum, ret_boxes + at);
		at += taken;
	}
}
