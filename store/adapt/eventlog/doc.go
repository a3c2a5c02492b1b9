// Package eventlog keeps the sessions of an agent framework as logs of events, over one
// loopstore.Loop: what a session service of adk-go and its like must do. docs/agents.md has
// the glue.
//
// A session is named by app, user and id. It has events, which are only appended, and a state,
// a map that events change. Keys of the state that begin with "app:" are shared by all sessions
// of the app, those with "user:" by all of the user in that app, and those with "temp:" are never
// stored. An event that is Partial is not stored either.
//
// Each session is a runtime, whose conversation has a line for each event. What sessions share
// is in runtimes of its own, with a line for each change. An event and what it changes of either
// are one batch. A batch is of one store: so this is for one Loop, and not for a cluster, where
// the runtimes of an app are on several.
//
// Handles may be stale. An append through one goes on from what stands: no event and no change
// is lost, however many append at once.
package eventlog
