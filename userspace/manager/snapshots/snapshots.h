/* SPDX-License-Identifier: Apache-2.0 */
/* containerd's snapshots: the public header of this room. */
#pragma once

#include "manager/snapshots/snapshot_life.h"
#include "manager/snapshots/snapshot_view.h"
