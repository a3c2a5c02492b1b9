// Package state is all that a store keeps: maps and lists, no lock, no
// goroutine, no clock. A [State] does nothing that its caller did not ask for, so
// it runs in a simulation as well as behind a loop. What it shows of a runtime to
// others is a [View], of everything an [Image].
package state
