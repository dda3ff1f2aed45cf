# SPDX-License-Identifier: Apache-2.0
"""The clients of a soak. Each knows what the agent has acknowledged to it, and checks that nothing of it is lost."""
import ctypes
import errno
import json
import os
import random
import subprocess
import threading
import time
import traceback

import snapshots_pb2 as s
import varve_pb2 as v
from soak_calls import Calls, Failed, run

LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2
MIB = 1 << 20
CONTAINERD_GRACE_S = 15  # it waits before it connects again


class Reader:
    """A process that reads, and its tally."""

    def __init__(self):
        program = os.path.join(os.path.dirname(__file__), 'soak_reader')
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self, paths):
        started = time.monotonic()
        self.process.stdin.write(json.dumps(paths) + '\n')
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if 'error' in answer:
            raise Failed('read', 'error', answer['error'], started)
        return answer

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Client(threading.Thread):
    """Works in rounds until the world ends. A call may fail while the agent is down or the disk is full."""

    grace_s = 1  # after the agent is back
    lease = True

    def __init__(self, world, number):
        super().__init__(name='%s-%d' % (type(self).__name__.lower(), number), daemon=True)
        self.world, self.random = world, random.Random('%s %s' % (world.seed, self.name))
        self.call = Calls(world.socket)
        self.held = {}  # ids of records that are acknowledged as held, and how often
        self.rounds = self.checks = self.turn = self.files = 0

    def run(self):
        while not self.world.over.is_set():
            try:
                self.prepare()
                break
            except Failed as failed:
                self.judge(failed)
        while not self.world.over.is_set():
            self.turn += 1
            try:
                self.round()
                self.rounds += 1
                self.pause(0.02, 0.2)
            except Failed as failed:
                self.judge(failed)
                self.settle()
            except Exception:  # pylint: disable=broad-except
                self.world.violation(self.name, traceback.format_exc())
                self.pause(1, 2)
        self.finish()
        self.call.close()

    def prepare(self):
        if self.lease:
            try:
                self.call('LeaseCreate', v.LeaseRequest(name=self.name))
            except Failed as failed:
                if failed.status != 'ALREADY_EXISTS':
                    raise

    def judge(self, failed):
        if not self.world.faults.excuse(failed, self.grace_s):
            self.world.violation(self.name, str(failed))
        self.pause(0.1, 0.4)

    def settle(self):
        """After a failure: makes the agent's state and the client's agree."""
        while not self.world.over.is_set():
            try:
                self.reconcile()
                return
            except Failed as failed:
                self.judge(failed)

    def holds(self):
        for lease in self.call('LeaseList', v.Empty()).leases:
            if lease.name == self.name:
                return {hold.lease: hold.refs for hold in lease.holds}
        return None

    def reconcile(self):
        """What is acknowledged is there; what failed may be there, and is released."""
        if not self.lease:
            return
        there = self.holds()
        if there is None:
            self.world.violation(self.name, 'its lease is gone')
            self.prepare()
            there = {}
        for record, refs in self.held.items():
            if there.get(record, 0) < refs:
                self.world.violation(self.name, 'record %s was acknowledged as held %d times, and is held %d times' %
                                     (record, refs, there.get(record, 0)))
        self.drop()
        for record, refs in there.items():
            for _ in range(refs):
                self.call('Release', v.LeaseIdRequest(id=record, lease=self.name))
        self.held.clear()

    def drop(self):
        """Forgets what a round was about."""

    def finish(self):
        if not self.lease:
            return
        for _ in range(20):
            try:
                self.drop()
                self.call('LeaseRemove', v.LeaseRequest(name=self.name))
                return
            except Failed as failed:
                if failed.status == 'NOT_FOUND':
                    return
                time.sleep(0.5)
        self.world.violation(self.name, 'cannot remove its lease')

    def pause(self, least, most):
        self.world.over.wait(self.random.uniform(least, most) * self.world.pace)

    # ---- records ----

    def new(self, **fields):
        reply = self.call('New', v.NewRequest(lease=self.name, retain=True, **fields))
        self.held[reply.id] = 1
        return reply.id, reply.mountpoint

    def commit(self, record):
        self.held.pop(record)  # if the call fails, one of them is held
        committed = self.call('Commit', v.LeaseIdRequest(id=record, lease=self.name)).id
        self.held[committed] = 1
        self.call('Finalize', v.IdRequest(id=committed))
        return committed

    def release(self, record):
        # A release may be lost when the agent is killed, and a failed one may have worked.
        refs = self.held.pop(record)
        for _ in range(refs):
            self.call('Release', v.LeaseIdRequest(id=record, lease=self.name))

    def write(self, folder, count, most):
        """Makes files; returns their names."""
        started = time.monotonic()
        names = []
        self.files += 1  # a name is in one layer only
        try:
            for n in range(count):
                name = '%s-%d-%d' % (self.name, self.files, n)
                with open(os.path.join(folder, name), 'wb') as file:
                    file.write(self.random.randbytes(self.random.randrange(1, most)))
                names.append(name)
        except OSError as error:
            raise Failed('write', errno.errorcode[error.errno], str(error), started) from None
        return names

    def counted(self, records):
        """Opens and bytes by record."""
        stats = {}
        for batch in self.call('Stats', v.StatsRequest(ids=records)):
            for one in batch.stats:
                stats[one.id] = (one.opens, one.read_bytes)
        return [stats[record] for record in records]

    def compare(self, records, before, tally):
        """What the agent has counted since `before` is what the reader has: neither less nor more."""
        for record, b, t, now in zip(records, before, tally, self.counted(records)):
            counted = (now[0] - b[0], now[1] - b[1])
            self.checks += 1
            if counted != tuple(t):
                time.sleep(1)
                later = self.counted([record])[0]
                self.world.violation(self.name, 'of record %s, %r opens and bytes were read, %r counted, and a second later %r'
                                     % (record, tuple(t), counted, (later[0] - b[0], later[1] - b[1])))


class Counter(Client):
    """Reads two layers through a mount, also while there is no agent, and compares its tally with the agent's."""

    def prepare(self):
        self.reader = Reader()
        super().prepare()

    def finish(self):
        self.reader.end()
        super().finish()

    def make(self, parent):
        record, folder = self.new(parent=parent, description=self.name)
        names = self.write(folder, self.random.randrange(1, 12), 200000)
        return self.commit(record), names

    def settled(self, what):
        """A call that is repeated while it fails for a reason, because reading goes on meanwhile."""
        while True:
            try:
                return what()
            except Failed as failed:
                if self.world.over.is_set():
                    raise
                self.judge(failed)

    def round(self):
        base, base_names = self.make('')
        child, child_names = self.make(base)
        folder = self.call('Mount', v.MountRequest(id=child, read_only=True, lease=self.name)).mountpoint
        records = [base, child]
        before = self.settled(lambda: self.counted(records))
        tally = [[0, 0], [0, 0]]
        end = time.monotonic() + self.random.uniform(2, 20) * self.world.pace
        while time.monotonic() < end and not self.world.over.is_set():
            for _ in range(self.random.randrange(1, 20)):
                for which, names in enumerate((base_names, child_names)):
                    read = self.reader.read([os.path.join(folder, self.random.choice(names)) for _ in range(4)])
                    tally[which][0] += read['opens']
                    tally[which][1] += read['bytes']
                self.pause(0.01, 0.05)
            self.settled(lambda: self.compare(records, before, tally))
        self.settled(lambda: self.compare(records, before, tally))
        self.call('Unmount', v.IdRequest(id=child))
        self.settled(lambda: self.compare(records, before, tally))
        self.release(child)
        self.release(base)


class Builder(Client):
    """Makes chains of records, leaves them to the policies, and uses old ones again where they still exist."""

    def prepare(self):
        self.reader = Reader()
        self.known = {}  # id: names and checksum
        super().prepare()

    def finish(self):
        self.reader.end()
        super().finish()

    def round(self):
        if self.known and self.random.random() < 0.5:
            self.use(self.random.choice(list(self.known)))
            return
        parent = ''
        for _ in range(self.random.randrange(1, 4)):
            record, folder = self.new(parent=parent, description=self.name)
            names = self.write(folder, self.random.randrange(1, 6), MIB)
            content = self.reader.read([os.path.join(folder, name) for name in names])['crc']
            if parent:
                self.release(parent)
            parent = self.commit(record)
            self.known[parent] = names, content
        self.release(parent)
        while len(self.known) > 30:
            del self.known[next(iter(self.known))]

    def use(self, record):
        names, content = self.known[record]
        try:
            self.call('Get', v.GetRequest(id=record, lease=self.name))
        except Failed as failed:
            if failed.status != 'NOT_FOUND':
                raise
            del self.known[record]  # evicted
            return
        self.held[record] = 1
        folder = self.call('Mount', v.MountRequest(id=record, read_only=True, lease=self.name)).mountpoint
        if self.reader.read([os.path.join(folder, name) for name in names])['crc'] != content:
            self.world.violation(self.name, 'record %s has other bytes than were written' % record)
        self.checks += 1
        self.call('Unmount', v.IdRequest(id=record))
        self.release(record)


class Snapshotter(Client):
    """A client of containerd: prepares, commits, views and removes snapshots, and mounts them itself. The calls go through
    containerd, because its garbage collector removes snapshots that it does not know."""

    lease = False
    grace_s = CONTAINERD_GRACE_S
    LABELS = {'containerd.io/gc.root': 'soak'}

    def prepare(self):
        self.reader = Reader()
        self.there = {}  # acknowledged snapshots
        self.asked = []  # all that a round has asked for
        self.containerd = Calls(self.world.containerd, self.world.namespace)
        self.point = os.path.join(self.world.work, 'mounted', self.name)
        os.makedirs(self.point, exist_ok=True)
        super().prepare()

    def finish(self):
        self.reader.end()
        for _ in range(20):
            try:
                self.reconcile()
                return
            except Failed:
                time.sleep(0.5)
        self.world.violation(self.name, 'cannot remove its snapshots')

    def name_of(self, what):
        name = '%s/%d/%s' % (self.name, self.turn, what)
        self.asked.append(name)
        return name

    def mounted(self, mounts):
        started = time.monotonic()
        mount = mounts[0]
        options = ','.join(o for o in mount.options if o not in ('ro', 'rw', 'rbind'))
        flags = (1 if 'ro' in mount.options else 0) | (4096 | 16384 if mount.type == 'bind' else 0)
        if LIBC.mount(mount.source.encode(), self.point.encode(), mount.type.encode(), flags, options.encode()) < 0:
            code = ctypes.get_errno()
            raise Failed('mount', errno.errorcode[code], os.strerror(code), started)
        return self.point

    def unmount(self):
        LIBC.umount2(self.point.encode(), MNT_DETACH)

    def record_of(self, key):
        for batch in self.call('List', v.ListRequest()):
            for record in batch.records:
                if record.snapshot_key.endswith('/' + key):
                    return record.id
        raise KeyError(key)

    def layer(self, parent, what):
        key, name = self.name_of(what + '-work'), self.name_of(what)
        mounts = self.containerd('Prepare', s.PrepareRequest(
            snapshotter='varve', key=key, parent=parent, labels=self.LABELS)).mounts
        self.there[key] = True
        try:
            names = self.write(self.mounted(mounts), self.random.randrange(1, 8), 300000)
        finally:
            self.unmount()
        del self.there[key]  # if the call fails, one of them is there
        self.containerd('CommitSnapshot', s.CommitRequest(snapshotter='varve', key=key, name=name, labels=self.LABELS))
        self.there[name] = True
        return name, names

    def remove(self, key):
        del self.there[key]
        self.containerd('Remove', s.KeyRequest(snapshotter='varve', key=key))

    def round(self):
        base, base_names = self.layer('', 'base')
        top, top_names = self.layer(base, 'top')
        records = [self.record_of(base), self.record_of(top)]
        view = self.name_of('view')
        mounts = self.containerd('View', s.PrepareRequest(
            snapshotter='varve', key=view, parent=top, labels=self.LABELS)).mounts
        self.there[view] = True
        before = self.counted(records)
        tally = [[0, 0], [0, 0]]
        try:
            folder = self.mounted(mounts)
            for _ in range(self.random.randrange(1, 10)):
                for which, names in enumerate((base_names, top_names)):
                    read = self.reader.read([os.path.join(folder, self.random.choice(names)) for _ in range(3)])
                    tally[which][0] += read['opens']
                    tally[which][1] += read['bytes']
                self.pause(0.02, 0.2)
        finally:
            self.unmount()
        self.compare(records, before, tally)
        for key in (view, top, base):
            self.remove(key)
        self.asked = []

    def drop(self):
        self.unmount()

    def reconcile(self):
        there = [i for reply in self.containerd('ListSnapshots', s.ListRequest(snapshotter='varve')) for i in reply.info
                 if i.name.startswith(self.name + '/')]
        lost = set(self.there) - {i.name for i in there}
        if lost:
            self.world.violation(self.name, 'snapshots that were acknowledged are gone: %r' % sorted(lost))
        self.drop()
        # When the agent is killed before it can answer a Commit, containerd has an active snapshot that is gone, and does
        # not list it.
        listed = {i.name for i in there}
        for name in [name for name in reversed(self.asked) if name not in listed]:
            try:
                self.containerd('Remove', s.KeyRequest(snapshotter='varve', key=name))
            except Failed as failed:
                if failed.status != 'NOT_FOUND':
                    raise
        self.there, self.asked = {}, []
        while there:
            parents = {i.parent for i in there}
            for i in [i for i in there if i.name not in parents]:
                self.containerd('Remove', s.KeyRequest(snapshotter='varve', key=i.name))
            there = [i for i in there if i.name in parents]


class Puller(Client):
    """Pulls images from a registry, mounts them, and looks whether the bytes are right."""

    def prepare(self):
        self.reader = Reader()
        super().prepare()

    def finish(self):
        self.reader.end()
        super().finish()

    def round(self):
        # A record has one mount, which the other pullers must not unmount: each has images of its own.
        name, path, crc = self.random.choice([i for i in self.world.images if i[0].endswith(self.name)])
        lazy = ['--lazy'] if self.random.random() < 0.3 else []
        said = run(self.world.varve + ['import', *lazy, '--lease', self.name, '--json', 'docker://' + name])
        record = json.loads(said.splitlines()[-1])['id']
        self.held[record] = 1
        folder = self.call('Mount', v.MountRequest(id=record, read_only=True, lease=self.name)).mountpoint
        if self.reader.read([os.path.join(folder, path)])['crc'] != crc:
            self.world.violation(self.name, 'image %s has other bytes than the registry' % name)
        self.checks += 1
        self.pause(0.2, 2)
        self.call('Unmount', v.IdRequest(id=record))
        self.release(record)


class Container(Client):
    """Runs containers by containerd and runc, whose program reads a file of the image."""

    lease = False
    grace_s = CONTAINERD_GRACE_S
    imported = threading.Lock()

    def prepare(self):
        with self.imported:
            if self.world.container_image and not self.world.container_imported:
                run(['ctr', 'images', 'import', '--snapshotter', 'varve', self.world.container_image])
                self.world.container_imported = True

    def round(self):
        name = '%s-%d' % (self.name, self.turn)
        try:
            # Its status: ctr may end before it has copied all that a container printed.
            run(['ctr', 'run', '--rm', '--snapshotter', 'varve', self.world.container_name, name,
                 '/bin/busybox', 'grep', '-x', self.world.container_says, '/data/file'])
        except Failed:
            self.clear(name)
            raise
        self.checks += 1
        with self.imported:
            self.world.container_reads += 1
        self.pause(0.5, 2)

    def clear(self, name):
        for words in (['tasks', 'kill', '--signal', 'SIGKILL', name], ['tasks', 'rm', '--force', name],
                      ['containers', 'rm', name], ['snapshots', '--snapshotter', 'varve', 'rm', name]):
            subprocess.run(['ctr', *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


class Pruner(Client):
    """Evicts records in each of the ways in which an administrator can, and looks at the store."""

    lease = False
    WAYS = (['prune', '--keep-storage', '8MB'], ['prune', '--all', '--keep-storage', '4MB'], ['prune', '--to-lazy'],
            ['prune', '--keep-duration', '1m'], ['prune', '--scorer', 'lru', '--keep-storage', '16MB'],
            ['ls', '--json'], ['du'], ['stats'], ['doctor'], ['history'], ['regret'], ['tree'], ['policy', 'show'])

    def round(self):
        way = self.random.choice(self.WAYS)
        if way[0] == 'prune' and self.random.random() < 0.2:
            self.planned(way)
        else:
            self.command(way)
        self.pause(0.5, 3)

    def command(self, words):
        try:
            return run(self.world.varve + words)
        except Failed as failed:
            # The goal was missed, or there are warnings: neither is a failure here.
            if failed.status not in ('exit 7', 'exit 8') or words[0] not in ('prune', 'doctor'):
                raise
            return ''

    def planned(self, way):
        said = self.command([*way, '--dry-run', '--json']).splitlines()
        plan = json.loads(said[-1]).get('plan') if said else None
        try:
            if plan:
                self.command(['prune', '--plan', plan])
        except Failed as failed:
            # Something has changed since, or the agent or the clock has: that is what the refusal is for.
            if failed.status not in ('exit 4', 'exit 5'):
                raise
