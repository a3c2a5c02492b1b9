//go:build !unix

package jetstream_test

func serve() {} // there is no network of servers that can be stopped
