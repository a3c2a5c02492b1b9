// Package postgrestest runs PostgreSQL servers for tests and benchmarks, each in
// a directory of its own, on a port of the loopback interface. It needs the
// programs of the server, which Debian's package postgresql has; it looks for
// them in PATH and under /usr/lib/postgresql. Because the server refuses to run
// as root, root runs it as the user postgres.
package postgrestest
