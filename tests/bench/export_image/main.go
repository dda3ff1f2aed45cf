// SPDX-License-Identifier: Apache-2.0

// export_image SOCKET PEER_SOCKET: makes an image of three layers with both snapshotters, and takes the
// differences between its layers in turns: "walking", as containerd compares two mounted trees, and
// "overlay", as BuildKit takes them from the directory of the upper layer. Prints ratios of medians as
// JSON lines. The snapshots export/1 to export/3 stay. Fails when an answer does not name the layers,
// so that there is no fast way.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/archive"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"github.com/containerd/continuity/fs"
	"google.golang.org/grpc"
)

const (
	baseFiles  = 4000
	layerFiles = 400
	fileBytes  = 16 << 10
	rounds     = 7
)

var ctx = context.Background()

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func connect(socket string) snapshots.Snapshotter {
	connection, err := grpc.Dial("unix://"+socket, grpc.WithInsecure())
	must(err)
	return proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(connection), "bench")
}

func name(layer int) string {
	if layer == 0 {
		return ""
	}
	return fmt.Sprintf("export/%d", layer)
}

// Files have whole seconds, as those from a tar have: a walking differ then compares their bytes.
func fill(root string, layer, files int) error {
	contents := make([]byte, fileBytes)
	when := time.Unix(1700000000, 0)
	for i := 0; i < files; i++ {
		directory := filepath.Join(root, fmt.Sprintf("layer-%d/%d", layer, i/100))
		if err := os.MkdirAll(directory, 0755); err != nil {
			return err
		}
		path := filepath.Join(directory, fmt.Sprint(i))
		copy(contents, path)
		if err := os.WriteFile(path, contents, 0644); err != nil {
			return err
		}
		if err := os.Chtimes(path, when, when); err != nil {
			return err
		}
	}
	return nil
}

func makeImage(s snapshots.Snapshotter) {
	for layer := 1; layer <= 3; layer++ {
		mounts, err := s.Prepare(ctx, "export/work", name(layer-1))
		must(err)
		files := layerFiles
		if layer == 1 {
			files = baseFiles
		}
		must(mount.WithTempMount(ctx, mounts, func(root string) error { return fill(root, layer, files) }))
		must(s.Commit(ctx, name(layer), "export/work"))
	}
}

// The layers of an answer, the lowest first.
func layersOf(m mount.Mount) ([]string, error) {
	var lowers []string
	upper := ""
	if m.Type == "bind" {
		return []string{m.Source}, nil
	}
	for _, o := range m.Options {
		pair := strings.SplitN(o, "=", 2)
		switch {
		case pair[0] == "upperdir":
			upper = pair[1]
		case pair[0] == "lowerdir":
			for _, l := range strings.Split(pair[1], ":") {
				lowers = append([]string{l}, lowers...)
			}
		case pair[0] == "workdir", o == "index=off", o == "userxattr", pair[0] == "redirect_dir":
		default:
			return nil, errors.New("unknown option " + o)
		}
	}
	if upper != "" {
		lowers = append(lowers, upper)
	}
	return lowers, nil
}

// The directory of the one layer that the upper has on top of the lower.
func upperdir(lower, upper []mount.Mount) (string, error) {
	below, err := layersOf(lower[0])
	if err != nil {
		return "", err
	}
	above, err := layersOf(upper[0])
	if err != nil {
		return "", err
	}
	if len(above) != len(below)+1 || strings.Join(above[:len(below)], ":") != strings.Join(below, ":") {
		return "", fmt.Errorf("%v does not continue %v", above, below)
	}
	return above[len(below)], nil
}

func walking(lower, upper []mount.Mount) error {
	return mount.WithTempMount(ctx, lower, func(lowerRoot string) error {
		return mount.WithTempMount(ctx, upper, func(upperRoot string) error {
			return archive.WriteDiff(ctx, io.Discard, lowerRoot, upperRoot)
		})
	})
}

func overlay(lower, upper []mount.Mount) error {
	directory, err := upperdir(lower, upper)
	if err != nil {
		return err
	}
	empty, err := os.MkdirTemp("", "export")
	if err != nil {
		return err
	}
	defer os.Remove(empty)
	view := []mount.Mount{{Type: "overlay", Source: "overlay",
		Options: []string{"lowerdir=" + directory + ":" + empty}}}
	return mount.WithTempMount(ctx, lower, func(lowerRoot string) error {
		return mount.WithTempMount(ctx, view, func(viewRoot string) error {
			w := archive.NewChangeWriter(io.Discard, viewRoot)
			err := filepath.Walk(directory, func(path string, f os.FileInfo, err error) error {
				if err != nil || path == directory {
					return err
				}
				path = strings.TrimPrefix(path, directory)
				var kind fs.ChangeKind = fs.ChangeKindAdd
				if _, err := os.Lstat(filepath.Join(lowerRoot, path)); err == nil {
					kind = fs.ChangeKindModify
				}
				return w.HandleChange(kind, path, f, nil)
			})
			if err != nil {
				return err
			}
			return w.Close()
		})
	})
}

func view(s snapshots.Snapshotter, layer int) []mount.Mount {
	mounts, err := s.View(ctx, fmt.Sprintf("export/view-%d", layer), name(layer))
	must(err)
	return mounts
}

// The time that the differences of the second and the third layer take.
func export(s snapshots.Snapshotter, differ func(lower, upper []mount.Mount) error) float64 {
	start := time.Now()
	for layer := 2; layer <= 3; layer++ {
		must(differ(view(s, layer-1), view(s, layer)))
		must(s.Remove(ctx, fmt.Sprintf("export/view-%d", layer-1)))
		must(s.Remove(ctx, fmt.Sprintf("export/view-%d", layer)))
	}
	return time.Since(start).Seconds()
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func compare(what string, sides [2]snapshots.Snapshotter, differ func(lower, upper []mount.Mount) error) {
	var times [2][]float64
	for round := -1; round < rounds; round++ {
		for i, s := range sides {
			if seconds := export(s, differ); round >= 0 {
				times[i] = append(times[i], seconds)
			}
		}
	}
	ours, theirs := median(times[0]), median(times[1])
	fmt.Printf("{\"name\":\"export_%s_ms\",\"value\":%.1f,\"unit\":\"ms\"}\n", what, ours*1000)
	fmt.Printf("{\"name\":\"export_%s_vs_peer\",\"value\":%.3f,\"unit\":\"ratio\"}\n", what, ours/theirs)
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: export_image SOCKET PEER_SOCKET")
	}
	sides := [2]snapshots.Snapshotter{connect(os.Args[1]), connect(os.Args[2])}
	for _, s := range sides {
		makeImage(s)
	}
	compare("overlay", sides, overlay)
	compare("walking", sides, walking)
}
