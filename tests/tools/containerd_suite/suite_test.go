// SPDX-License-Identifier: Apache-2.0

// Runs containerd's test suite for snapshotters against varved, through containerd's client of proxy
// snapshotters. Each test gets an agent and a store of its own. Needs the path of varved in VARVED, that of a
// configuration in VARVED_CONFIG, and -test.root.
package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"github.com/containerd/containerd/snapshots/testsuite"
	"google.golang.org/grpc"
)

type agent struct {
	process *exec.Cmd
	root    string
	folder  string // of the socket, whose path must be short
}

func command(a *agent, arguments ...string) *exec.Cmd {
	arguments = append([]string{"--root", a.root, "--socket", filepath.Join(a.folder, "sock"),
		"--config", os.Getenv("VARVED_CONFIG")}, arguments...)
	c := exec.Command(os.Getenv("VARVED"), arguments...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

func start(root string) (*agent, error) {
	folder, err := os.MkdirTemp("", "varve.")
	if err != nil {
		return nil, err
	}
	a := &agent{root: filepath.Join(root, "store"), folder: folder}
	a.process = command(a)
	return a, a.process.Start()
}

// Fails when the agent does not end well, which is how a report of a sanitizer is noticed.
func (a *agent) stop() error {
	defer os.RemoveAll(a.folder)
	if err := a.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := a.process.Wait(); err != nil {
		return fmt.Errorf("varved: %w", err)
	}
	return command(a, "--teardown").Run()
}

func connect(a *agent) (*grpc.ClientConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	return grpc.DialContext(ctx, "unix://"+filepath.Join(a.folder, "sock"), grpc.WithBlock(),
		grpc.WithInsecure())
}

func newSnapshotter(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
	a, err := start(root)
	if err != nil {
		return nil, nil, err
	}
	connection, err := connect(a)
	if err != nil {
		_ = a.stop()
		return nil, nil, err
	}
	snapshotter := proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(connection), "varve")
	return snapshotter, func() error {
		connection.Close()
		return a.stop()
	}, nil
}

func TestVarve(t *testing.T) {
	testsuite.SnapshotterSuite(t, "varve", newSnapshotter)
}
