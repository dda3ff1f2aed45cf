/* SPDX-License-Identifier: Apache-2.0 */
/* Divides a rectangle into parts of given areas that are close to squares (Bruls, Huizing, van
 * Wijk: Squarified treemaps, 2000). */
#pragma once

#include <stddef.h>

struct heat_box {
	double x, y, width, height;
};

/* `weights` are above 0 and fall; boxes are in the same order and together fill the rectangle. */
void heat_squares(const struct heat_box *whole, const double *weights, size_t count,
		  struct heat_box *ret_boxes);
