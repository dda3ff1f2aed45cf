/* SPDX-License-Identifier: Apache-2.0 */
/* The part of fsck that looks at each record's layer: its files, its size and its link. */
#pragma once

#include "manager/recovery/fsck_report.h"

int fsck_layers_check(struct fsck *c, struct error *e);
