// SPDX-License-Identifier: Apache-2.0

// list_tar DIRECTORY: lists what Go's archive/tar finds in each *.tar of the directory, because containerd, umoci,
// Docker and Podman use it. Prints one line of JSON for each archive, as compare-tars expects it.
package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func list(path string) [][]interface{} {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	entries := [][]interface{}{}
	for reader := tar.NewReader(file); ; {
		h, err := reader.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			return nil
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		kind, rest := string(rune(h.Typeflag)), h.Linkname
		if strings.Contains("07S", kind) {
			sum := sha256.New()
			size, err := io.Copy(sum, reader)
			if err != nil || size != h.Size {
				return nil
			}
			kind, rest = "0", hex.EncodeToString(sum.Sum(nil))
		} else if kind != "1" && kind != "2" {
			rest = ""
		}
		entries = append(entries, []interface{}{filepath.Clean(h.Name), kind, rest, h.ModTime.UnixNano()})
	}
}

func main() {
	paths, _ := filepath.Glob(os.Args[1] + "/*.tar")
	out := json.NewEncoder(os.Stdout)
	for _, path := range paths {
		_ = out.Encode(map[string]interface{}{"name": filepath.Base(path), "entries": list(path)})
	}
}
