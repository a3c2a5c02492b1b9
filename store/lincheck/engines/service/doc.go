// Package service runs a whole service under faults, and checks that it keeps what it says:
// three members and three NATS servers, each a process of its own, and callers that
// note every answer. Members are killed, stopped and told to leave; servers are killed,
// stopped, and silenced in either direction. It prints how long partitions were without
// service, and judges only what was lost, doubled, stale, or there although refused.
//
// The service is in the package's tests. Ten minutes of it are
//
//	GOWORK=off go test -v -run TestServiceUnderFaults -timeout 20m ./service -minutes 10
package service
