//go:build !linux

package peers_test

import "os"

func fdatasync(file *os.File) error { return file.Sync() }
