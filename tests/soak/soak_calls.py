# SPDX-License-Identifier: Apache-2.0
"""Calls of the agent's services, and what is known about the times at which they may fail."""
import os
import subprocess
import threading
import time

os.environ['GRPC_ENABLE_FORK_SUPPORT'] = '0'
import grpc  # noqa: E402
import snapshots_pb2 as s  # noqa: E402
import varve_pb2 as v  # noqa: E402

SNAPSHOTS = '/containerd.services.snapshots.v1.Snapshots/'
CACHE = '/varve.v1.Cache/'
METHODS = {
    'New': (CACHE, v.MountReply, False), 'Mount': (CACHE, v.MountReply, False), 'Unmount': (CACHE, v.Empty, False),
    'Commit': (CACHE, v.IdReply, False), 'Finalize': (CACHE, v.Empty, False), 'Get': (CACHE, v.IdReply, False),
    'Release': (CACHE, v.Empty, False), 'List': (CACHE, v.RecordBatch, True), 'Stats': (CACHE, v.StatsBatch, True),
    'LeaseCreate': (CACHE, v.Lease, False), 'LeaseRemove': (CACHE, v.Empty, False),
    'LeaseList': (CACHE, v.LeaseReply, False), 'Info': (CACHE, v.InfoReply, False),
    'Prepare': (SNAPSHOTS, s.MountsReply, False), 'View': (SNAPSHOTS, s.MountsReply, False),
    'CommitSnapshot': (SNAPSHOTS, s.Empty, False), 'Remove': (SNAPSHOTS, s.Empty, False),
    'ListSnapshots': (SNAPSHOTS, s.ListReply, True),
}
GONE = ('UNAVAILABLE', 'CANCELLED', 'exit 3')
# What clients and containerd say of an agent that was killed.
GONE_TEXTS = ('went away', 'no agent listens', 'left over from an agent', 'hung up', 'navailable', 'connection refused',
              'transport is closing', 'error reading from server', 'connection reset', 'broken pipe')
# An overlay whose work directory cannot be made is read-only.
FULL_TEXTS = ('No space left', 'no space left', 'disk is full', 'ead-only file system')


class Failed(Exception):
    """A call, a command or an access that failed."""

    def __init__(self, what, status, text, started):
        super().__init__('%s: %s: %s' % (what, status, text))
        self.status, self.text = status, text
        self.started, self.ended = started, time.monotonic()


class Faults:
    """When the agent was down, and when the disk was full, in monotonic seconds."""

    def __init__(self):
        self.lock = threading.Lock()
        self.windows = []  # [kind, from, to], None: not over

    def begin(self, kind):
        with self.lock:
            self.windows.append([kind, time.monotonic(), None])

    def end(self, kind):
        with self.lock:
            for window in self.windows:
                if window[0] == kind and window[2] is None:
                    window[2] = time.monotonic()

    def overlap(self, kind, started, ended, grace_s=0):
        with self.lock:
            return any(w[0] == kind and w[1] <= ended and (w[2] is None or w[2] + grace_s >= started)
                       for w in self.windows)

    def excuse(self, failed, grace_s):
        down = failed.status in GONE or any(t in failed.text for t in GONE_TEXTS)
        full = failed.status == 'RESOURCE_EXHAUSTED' or any(t in failed.text for t in FULL_TEXTS)
        return (down and self.overlap('down', failed.started, failed.ended, grace_s) or
                full and self.overlap('full', failed.started, failed.ended, 1))


class Calls:
    """One connection, of the agent or of a namespace of containerd."""

    def __init__(self, socket, namespace=''):
        self.count = 0
        self.metadata = [('containerd-namespace', namespace)] if namespace else []
        self.channel = grpc.insecure_channel('unix:' + socket, [
            ('grpc.use_local_subchannel_pool', 1), ('grpc.initial_reconnect_backoff_ms', 100),
            ('grpc.max_reconnect_backoff_ms', 300)])

    def __call__(self, method, request, timeout_s=120):
        service, reply, many = METHODS[method]
        make = self.channel.unary_stream if many else self.channel.unary_unary
        call = make(service + method.replace('Snapshots', '').replace('Snapshot', ''),
                    type(request).SerializeToString, reply.FromString)
        started = time.monotonic()
        try:
            answer = call(request, timeout=timeout_s, metadata=self.metadata)
            answer = list(answer) if many else answer
        except grpc.RpcError as e:
            raise Failed(method, e.code().name, e.details(), started) from None
        self.count += 1
        return answer

    def close(self):
        self.channel.close()


def run(words, **options):
    """A command: its standard output, or Failed with what it said."""
    started = time.monotonic()
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          **options)
    if done.returncode != 0:
        said = (done.stdout[-200:] + done.stderr[-500:]).decode(errors='replace')
        raise Failed(' '.join(words[:3]), 'exit %d' % done.returncode, said, started)
    return done.stdout.decode()
