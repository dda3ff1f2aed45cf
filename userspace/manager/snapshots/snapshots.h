/* SPDX-License-Identifier: Apache-2.0 */
/* containerd's snapshots: the public header of this room. */
#pragma once

#include "manager/snapshots/snapshot_answer.h"
#include "manager/snapshots/snapshot_apply.h"
#include "manager/snapshots/snapshot_commit.h"
#include "manager/snapshots/snapshot_create.h"
#include "manager/snapshots/snapshot_diff.h"
#include "manager/snapshots/snapshot_mount.h"
#include "manager/snapshots/snapshot_remove.h"
#include "manager/snapshots/snapshot_view.h"
